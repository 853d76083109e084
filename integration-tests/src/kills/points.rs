//! The fail points: at which one the next life ends, and how often each was passed.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// A point that is passed hundreds of times a second is not always hit in the first moments.
const FURTHEST: u64 = 60;

/// What is known of a point.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Hits over all lives: at least so many, since a life that is ended from outside tells of the last power of two.
    passed: u64,
    /// The most hits in one life.
    most: u64,
    /// Lives that it ended.
    kills: u64,
}

/// Where a life is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// The point.
    pub name: &'static str,
    /// At which of its hits.
    pub count: u64,
}

/// The points that a run aims at.
#[derive(Debug)]
pub struct Points {
    known: BTreeMap<&'static str, Known>,
    queue: VecDeque<&'static str>,
}

impl Points {
    /// Of these names.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        let known = names.into_iter().map(|name| (name, Known::default())).collect();
        Self { known, queue: VecDeque::new() }
    }

    /// The next point for which `among` holds: each comes up as often as any other, in an order of chance.
    ///
    /// # Panics
    /// When there is none.
    pub fn next(&mut self, rng: &mut StdRng, among: &dyn Fn(&str) -> bool) -> Aim {
        let place = self.queue.iter().position(|name| among(name));
        let name = match place.and_then(|place| self.queue.remove(place)) {
            Some(name) => name,
            None => {
                let mut all: Vec<&'static str> =
                    self.known.keys().copied().filter(|name| among(name)).collect();
                all.shuffle(rng);
                self.queue.extend(all);
                self.queue.pop_back().expect("a run has points to aim at")
            }
        };
        let most = self.known[name].most;
        Aim { name, count: rng.random_range(1..=(most / 2).clamp(1, FURTHEST)) }
    }

    /// How many points there are for which `which` holds.
    #[must_use]
    pub fn count(&self, which: &dyn Fn(&str) -> bool) -> usize {
        self.known.keys().filter(|name| which(name)).count()
    }

    /// Takes in what a life wrote down; when it ended at a point, the time of that.
    ///
    /// # Panics
    /// When the file is not what the daemon writes.
    pub fn take_in(&mut self, log: &Path) -> Option<i64> {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let mut most: BTreeMap<&str, u64> = BTreeMap::new();
        let mut killed_at = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["passed", name, count] => {
                    let known = most.entry(name).or_default();
                    *known = count.parse::<u64>().unwrap().max(*known);
                }
                ["killed_at", at, name] => {
                    killed_at = Some(at.parse().unwrap());
                    self.known.get_mut(name).expect("a point of the list").kills += 1;
                }
                _ => panic!("an unknown line in the log of fail points: {line}"),
            }
        }
        for (name, count) in most {
            let known = self.known.get_mut(name).expect("a point of the list");
            known.passed += count;
            known.most = known.most.max(count);
        }
        killed_at
    }

    /// Prints the list.
    pub fn print(&self) {
        println!("{:>10} {:>6}  fail point", "passed", "kills");
        for (name, known) in &self.known {
            println!("{:>10} {:>6}  {name}", known.passed, known.kills);
        }
    }

    /// Points that were never reached.
    #[must_use]
    pub fn never_passed(&self) -> Vec<&'static str> {
        self.known.iter().filter(|(_, known)| known.passed == 0).map(|(name, _)| *name).collect()
    }

    /// Points at which no life ended.
    #[must_use]
    pub fn never_fatal(&self) -> Vec<&'static str> {
        self.known.iter().filter(|(_, known)| known.kills == 0).map(|(name, _)| *name).collect()
    }
}
