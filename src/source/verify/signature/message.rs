//! The bytes that a signature covers, put together from a request as a recipe says.

use super::{
    header::Line,
    recipe::{Piece, Recipe, TimeFrom},
};
use crate::source::{payload::RequestParts, verify::rejection::Rejection};
use http::HeaderName;
use std::borrow::Cow;

/// Returns the signed bytes, piece by piece. Fails if a piece is missing that is not optional.
pub(super) fn message<'a>(
    recipe: &'a Recipe,
    line: &Line<'a>,
    parts: RequestParts<'a>,
    body: &'a [u8],
) -> Result<Vec<Cow<'a, [u8]>>, Rejection> {
    let mut message = Vec::new();
    for part in &recipe.signed {
        let pieces = part.pieces.iter().map(|piece| piece_of(recipe, piece, line, parts, body));
        match pieces.collect::<Result<Vec<_>, _>>() {
            Ok(pieces) => message.extend(pieces),
            Err(_) if part.optional => {}
            Err(why) => return Err(why),
        }
    }
    Ok(message)
}

/// Returns the bytes of one piece.
fn piece_of<'a>(
    recipe: &'a Recipe,
    piece: &'a Piece,
    line: &Line<'a>,
    parts: RequestParts<'a>,
    body: &'a [u8],
) -> Result<Cow<'a, [u8]>, Rejection> {
    let from = recipe.time.as_ref().map(|time| &time.from);
    let text = match piece {
        Piece::Body => return Ok(Cow::Borrowed(body)),
        Piece::Crc32 => return Ok(Cow::Owned(crc32fast::hash(body).to_string().into_bytes())),
        Piece::Literal(text) => text,
        Piece::Field(key) => line.field(key).ok_or(match from {
            Some(TimeFrom::Field(time)) if time == key => Rejection::MissingTimestamp,
            _ => Rejection::MalformedSignature,
        })?,
        Piece::Header(name) => parts.header(name).ok_or(match from {
            Some(TimeFrom::Header(time)) if time == name => Rejection::MissingTimestamp,
            _ => Rejection::MissingHeader,
        })?,
        Piece::Option(name) => parts.options.get(name).ok_or(Rejection::BadSignature)?,
        Piece::Headers(field) => {
            let names = line.field(field).ok_or(Rejection::MalformedSignature)?;
            let texts = names.split(' ').map(|name| {
                let name = name.parse::<HeaderName>().map_err(|_| Rejection::MalformedSignature)?;
                // A missing header is signed as an empty text.
                Ok(parts.header(&name).unwrap_or_default())
            });
            return Ok(Cow::Owned(texts.collect::<Result<Vec<_>, _>>()?.join(".").into_bytes()));
        }
        Piece::Query(name) => {
            let text = parts.query(name).ok_or(Rejection::MissingQuery)?;
            return Ok(Cow::Owned(text.to_lowercase().into_bytes()));
        }
    };
    Ok(Cow::Borrowed(text.as_bytes()))
}
