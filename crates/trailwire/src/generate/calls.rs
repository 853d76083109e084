//! The twelve operations and how one call of each looks.

use std::io::Write;

use super::mix::Dice;

/// One operation of a product.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) product: &'static str,
    pub(super) method: &'static str,
    pub(super) target: Target,
    /// The status of a call that went well.
    pub(super) success: u16,
}

/// What stands in path and query.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Issue,
    EditIssue,
    AddComment,
    DeleteComment,
    Search,
    CreateIssue,
    Transition,
    Sprints,
    Request,
    Page,
    EditPage,
    SearchPages,
}

/// The twelve, each as often as the others.
pub(super) const OPERATIONS: [Operation; 12] = [
    operation("jira", "GET", Target::Issue, 200),
    operation("jira", "PUT", Target::EditIssue, 204),
    operation("jira", "POST", Target::AddComment, 201),
    operation("jira", "GET", Target::Search, 200),
    operation("jira", "POST", Target::CreateIssue, 201),
    operation("jira", "POST", Target::Transition, 204),
    operation("jira", "DELETE", Target::DeleteComment, 204),
    operation("jira-software", "GET", Target::Sprints, 200),
    operation("jira-service-management", "GET", Target::Request, 200),
    operation("confluence", "GET", Target::Page, 200),
    operation("confluence", "PUT", Target::EditPage, 200),
    operation("confluence", "GET", Target::SearchPages, 200),
];

const fn operation(product: &'static str, method: &'static str, target: Target, success: u16) -> Operation {
    Operation { product, method, target, success }
}

/// Statuses of calls that did not go well.
pub(super) const FAILURES: [u16; 8] = [400, 401, 403, 404, 409, 429, 500, 503];

const PROJECTS: [&str; 6] = ["PROJ", "OPS", "SUPPORT", "WEB", "DATA", "HR"];

impl Target {
    /// Writes `"path":"…"` and, for some, `,"query":"…"`.
    pub(super) fn write(self, dice: &mut Dice, out: &mut Vec<u8>) {
        let project = dice.pick(&PROJECTS);
        let (number, id, page) =
            (1 + dice.below(9_999), 10_000 + dice.below(90_000), 98_304 + dice.below(900_000));
        let written = match self {
            Self::Issue => write!(
                out,
                r#""path":"/rest/api/3/issue/{project}-{number}","query":"fields=summary%2Cstatus%2Cassignee&expand=names%2Cchangelog""#
            ),
            Self::EditIssue => {
                write!(out, r#""path":"/rest/api/3/issue/{project}-{number}","query":"notifyUsers=false""#)
            }
            Self::AddComment => write!(out, r#""path":"/rest/api/3/issue/{project}-{number}/comment""#),
            Self::DeleteComment => {
                write!(out, r#""path":"/rest/api/3/issue/{project}-{number}/comment/{id}""#)
            }
            Self::Search => write!(
                out,
                r#""path":"/rest/api/3/search/jql","query":"jql=project+%3D+{project}+AND+updated+%3E%3D+-1d+ORDER+BY+key&maxResults=100&fields=summary""#
            ),
            Self::CreateIssue => write!(out, r#""path":"/rest/api/3/issue","query":"updateHistory=true""#),
            Self::Transition => write!(out, r#""path":"/rest/api/3/issue/{project}-{number}/transitions""#),
            Self::Sprints => {
                write!(
                    out,
                    r#""path":"/rest/agile/1.0/board/{number}/sprint","query":"state=active&startAt=0&maxResults=50""#
                )
            }
            Self::Request => {
                write!(
                    out,
                    r#""path":"/rest/servicedeskapi/request/{project}-{number}","query":"expand=participant&expand=status""#
                )
            }
            Self::Page => write!(
                out,
                r#""path":"/wiki/api/v2/pages/{page}","query":"body-format=storage&include-labels=true""#
            ),
            Self::EditPage => write!(out, r#""path":"/wiki/api/v2/pages/{page}""#),
            Self::SearchPages => write!(
                out,
                r#""path":"/wiki/rest/api/search","query":"cql=space+%3D+{project}+and+type+%3D+page&limit=50&expand=content.version""#
            ),
        };
        debug_assert!(written.is_ok(), "a vector takes everything");
    }
}
