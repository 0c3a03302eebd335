//! The reasons why a body is not read as XML.

/// Why a body is not read as XML.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum XmlError {
    /// It is not XML, or has an internal DTD, in which entities could be declared.
    Malformed,
    /// It is longer than `XmlBounds::bytes`.
    TooLong,
    /// A tag has more attributes than `XmlBounds::attributes`, or name spaces are declared more often than `XmlBounds::name_spaces`.
    TooManyAttributes,
    /// Elements nest deeper than `XmlBounds::depth`.
    TooDeep,
}

impl XmlError {
    /// The reason code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "not_xml",
            Self::TooLong => "too_long",
            Self::TooManyAttributes => "too_many_attributes",
            Self::TooDeep => "too_deep",
        }
    }
}
