//! The lines of a signature header, taken apart. Pure, bounded, and without an opinion on what is valid: it only says
//! which texts claim to be signatures, and which fields stand beside them.

use super::recipe::Format;

/// The most signatures that one delivery may offer; a rotation needs two or three. The rest is not looked at.
pub(super) const MAX_SIGNATURES: usize = 16;

/// One line of a signature header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Fields beside the signatures, by key.
    fields: Vec<(&'a str, &'a str)>,
    /// What claims to be a signature.
    pub(super) signatures: Vec<&'a str>,
}

impl<'a> Line<'a> {
    /// Takes a line apart. `None` if one field is given twice, so that it is not clear which of them was signed.
    pub(super) fn read(format: &Format, line: &'a str) -> Option<Self> {
        let mut read = Self { fields: Vec::new(), signatures: Vec::new() };
        match format {
            Format::Raw => read.signatures.push(line.trim()),
            Format::Pairs { separator, signatures } => {
                for (key, value) in line.split(*separator).filter_map(|field| field.trim().split_once('=')) {
                    if signatures.iter().any(|known| known == key) {
                        read.signatures.push(value);
                    } else if read.field(key).is_some_and(|known| known != value) {
                        return None;
                    } else if read.fields.len() < MAX_SIGNATURES {
                        read.fields.push((key, value));
                    }
                }
            }
            Format::Versioned { version } => {
                let versions = line.split_ascii_whitespace().filter_map(|item| item.split_once(','));
                read.signatures
                    .extend(versions.filter(|(known, _)| known == version).map(|(_, value)| value));
            }
        }
        read.signatures.retain(|signature| !signature.is_empty());
        read.signatures.truncate(MAX_SIGNATURES);
        Some(read)
    }

    /// A field's text.
    pub(super) fn field(&self, key: &str) -> Option<&'a str> {
        self.fields.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }
}

/// The line that carries one signature and the time, for signing.
pub(super) fn write(format: &Format, time_field: Option<(&str, &str)>, signature: &str) -> String {
    match format {
        Format::Raw => signature.to_owned(),
        Format::Pairs { separator, signatures } => {
            let key = signatures.first().map_or("", String::as_str);
            let time = time_field.map(|(key, time)| format!("{key}={time}{separator}")).unwrap_or_default();
            format!("{time}{key}={signature}")
        }
        Format::Versioned { version } => format!("{version},{signature}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Format {
        Format::Pairs { separator: ',', signatures: vec!["v1".to_owned()] }
    }

    #[test]
    fn lines_are_taken_apart_and_unknown_schemes_are_left_out() {
        let versioned = || Format::Versioned { version: "v1".to_owned() };
        for (format, line, time, signatures) in [
            (Format::Raw, " ab ", None, vec!["ab"]),
            (Format::Raw, "  ", None, vec![]),
            (pairs(), "t=1,v1=a,v1=b,v0=c", Some("1"), vec!["a", "b"]),
            (pairs(), "v0=c,t=1", Some("1"), vec![]),
            (pairs(), " t=1 , v1=a=b", Some("1"), vec!["a=b"]),
            (pairs(), "t=1,t=1,v1=a", Some("1"), vec!["a"]),
            (pairs(), "junk,,v1=,=,v1", None, vec![]),
            (versioned(), "v1,a v1a,b v2,c  v1,d", None, vec!["a", "d"]),
            (versioned(), "v1 v1, a", None, vec![]),
        ] {
            let read = Line::read(&format, line).unwrap();
            assert_eq!((read.field("t"), &read.signatures), (time, &signatures), "{line}");
        }
        assert_eq!(Line::read(&pairs(), "t=1,t=2,v1=a"), None, "which time was signed?");
        let many = "v1=a,".repeat(1000);
        assert_eq!(Line::read(&pairs(), &many).unwrap().signatures.len(), MAX_SIGNATURES);
    }
}
