//! The syntax of references: `${env:NAME}`, `${file:NAME}`.

/// What the text at a secret's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference<'a> {
    /// `${env:NAME}`.
    Variable(&'a str),
    /// `${file:NAME}`.
    File(&'a str),
    /// Anything without `${`: the secret itself.
    Literal,
}

/// A text with `${` that is no reference. It does not show the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadReference {
    #[error("a reference must be the whole value")]
    NotWhole,
    #[error("a reference must begin with ${{env: or ${{file:")]
    UnknownKind,
    #[error("the name in the reference is empty, too long, or holds a character that no name has")]
    BadName,
}

impl<'a> Reference<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, BadReference> {
        if !text.contains("${") {
            return Ok(Self::Literal);
        }
        let inner =
            text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).ok_or(BadReference::NotWhole)?;
        if inner.contains(['$', '{', '}']) {
            return Err(BadReference::NotWhole);
        }
        let (kind, name) = inner.split_once(':').ok_or(BadReference::UnknownKind)?;
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            return Err(BadReference::BadName);
        }
        match kind {
            "env" if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => Ok(Self::Variable(name)),
            "env" => Err(BadReference::BadName),
            "file" => Ok(Self::File(name)),
            _ => Err(BadReference::UnknownKind),
        }
    }
}
