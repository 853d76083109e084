use super::*;

fn samples() -> Problems {
    let file = Arc::new(Origin::File("orgs.d/acme/sinks.yaml".to_owned()));
    let variable = Arc::new(Origin::Variable("TRAILWIRE__BUFFER__MAX_AGE".to_owned()));
    let mut problems = Problems::default();
    problems.push(
        Problem::error(Place::new(&file, 5, 5), "sinks.soc.endpont", "unknown key")
            .hint("did you mean `endpoint`?"),
    );
    problems.push(Problem::warning(Place::whole(&variable), "buffer.max_age", "a very short time"));
    problems.push(Problem::error(Place::whole(&file), "", "the file is empty"));
    problems
}

#[test]
fn people_see_place_path_and_hint() {
    insta::assert_snapshot!(samples().to_string(), @r"
    error: orgs.d/acme/sinks.yaml:5:5: sinks.soc.endpont: unknown key
      hint: did you mean `endpoint`?
    warning: variable TRAILWIRE__BUFFER__MAX_AGE: buffer.max_age: a very short time
    error: orgs.d/acme/sinks.yaml: the file is empty
    ");
}

#[test]
fn programs_get_json() {
    let json = serde_json::to_value(samples()).unwrap();
    assert_eq!(
        json[0],
        serde_json::json!({"severity": "error", "source": "orgs.d/acme/sinks.yaml", "line": 5, "column": 5,
            "path": "sinks.soc.endpont", "what": "unknown key", "hint": "did you mean `endpoint`?"})
    );
    assert_eq!(json[1]["line"], serde_json::Value::Null);
    assert_eq!(json.as_array().map(Vec::len), Some(3));
}

#[test]
fn the_same_problem_is_told_once_and_errors_come_first_in_short() {
    let mut problems = samples();
    problems.append(samples());
    assert_eq!((problems.clone().without_repeats().len(), problems.clone().sorted().len()), (3, 3));
    assert!(problems.has_errors());
    assert_eq!(problems.first().map(|p| p.path.as_str()), Some("sinks.soc.endpont"));
}
