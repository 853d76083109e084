#!/usr/bin/env python3
"""Chooses the sample of recorded calls that the demo and the tests use. See README.md.

    choose-sample.py CORPUS.ndjson planted.txt > real-sample.ndjson
"""
import json
import sys
import urllib.parse

SIZE = 400


def decoded(line):
    """The line as a person would read it, in lower case."""
    for _ in range(2):
        line = urllib.parse.unquote(line)
    return (line + "\n" + line.replace("+", " ")).lower()


def main():
    lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
    planted = [v.lower() for v in open(sys.argv[2], encoding="utf-8").read().splitlines()]
    chosen = set()
    seen = {}

    def take(index, key, limit):
        if seen.get(key, 0) < limit and len(chosen) < SIZE:
            seen[key] = seen.get(key, 0) + 1
            chosen.add(index)

    events = [json.loads(line) for line in lines]
    readable = [decoded(line) for line in lines]
    # In the order of importance: two of each planted value, all kinds of other events, then every combination of
    # organisation, app, client header and status.
    for i in range(len(lines)):
        for value in planted:
            if value in readable[i]:
                take(i, ("planted", value), 2)
    for i, e in enumerate(events):
        if e["kind"] != "api_call":
            detail = e.get("lifecycle", {}).get("event") or e.get("app_event", {}).get("name")
            take(i, ("kind", e["kind"], detail), 2)
    for i, e in enumerate(events):
        take(i, ("site", e["site"]), 4)
        take(i, ("app", e["app"]["key"]), 5)
        take(i, ("client", e["client"].get("user_agent")), 2)
        take(i, ("status", e.get("response", {}).get("status")), 2)
        take(i, ("described", "headers" in e.get("request", {}), e["app"]["key"]), 2)
    # The rest: evenly over the day.
    step = len(lines) // (SIZE - len(chosen)) if len(chosen) < SIZE else len(lines)
    for i in range(0, len(lines), max(step, 1)):
        take(i, ("even",), SIZE)
    for i in sorted(chosen):
        print(lines[i])


main()
