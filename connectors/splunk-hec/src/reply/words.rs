//! Words of a peer, made safe to show.

/// Characters that are shown.
const MAX_SHOWN: usize = 200;

/// The first 200 characters of what a peer said, on one line, without control characters and without `token` in any
/// mix of capitals.
#[must_use]
pub fn peer_words(text: &str, token: &str) -> String {
    let mut clean: String = text
        .chars()
        // Control characters move a terminal's cursor; the others are invisible or turn the direction of writing.
        .map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c })
        .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'))
        .collect();
    // Shorter ones would blot out ordinary words; no collector has such a token.
    if token.len() >= 4 {
        let secret = token.to_ascii_lowercase();
        let mut shown = String::with_capacity(clean.len());
        // ASCII lowering keeps every byte position.
        let (lower, mut from) = (clean.to_ascii_lowercase(), 0);
        for (at, _) in lower.match_indices(&secret) {
            shown.push_str(clean.get(from..at).unwrap_or_default());
            shown.push_str("***");
            from = at + secret.len();
        }
        shown.push_str(clean.get(from..).unwrap_or_default());
        clean = shown;
    }
    let mut words = clean.split(' ').filter(|word| !word.is_empty()).fold(String::new(), |mut line, word| {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        line
    });
    if let Some((at, _)) = words.char_indices().nth(MAX_SHOWN) {
        words.truncate(at);
        words.push('…');
    }
    words
}
