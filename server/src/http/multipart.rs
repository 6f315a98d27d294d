//! `multipart/form-data` (RFC 7578) as browsers write it: a few fields and one file. Nothing of the file is looked at.

use axum::{
    body::Body,
    http::{StatusCode, header, request::Parts},
};
use http_body_util::BodyExt as _;

use super::{
    error::Refusal,
    extract::{Parameters, is_too_slow, single_header},
    pages::form,
};

/// Bytes beside the file: fields, headers of parts, boundaries.
const BESIDE: usize = 16 * 1024;

/// More than this is not even read to its end, in bytes.
const MOST_DRAINED: usize = 16 * 1024 * 1024;

/// The most parts.
const MAX_PARTS: usize = 16;

/// Reads fields and a file of at most `most` bytes.
///
/// What is too large is read to its end and thrown away: a browser shows an answer only to what it could send.
pub async fn read(
    parts: &Parts,
    mut body: Body,
    most: usize,
) -> Result<(Parameters, Option<Vec<u8>>), Refusal> {
    let boundary = single_header(&parts.headers, &header::CONTENT_TYPE)?.and_then(boundary);
    let boundary = boundary.ok_or_else(|| form::refused("the form is not multipart/form-data"))?;
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if is_too_slow(&error) {
                let sentence = "The body took too long to arrive.";
                return Refusal::new(StatusCode::REQUEST_TIMEOUT, "invalid_request", sentence);
            }
            Refusal::invalid_request("The body broke off.").caused_by(error)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length > MOST_DRAINED {
            break;
        }
        if length <= most + BESIDE {
            bytes.extend_from_slice(&data);
        }
    }
    if length > most + BESIDE {
        return Err(too_large(most));
    }
    let (fields, file) =
        parse(&bytes, boundary).ok_or_else(|| form::refused("the form is malformed"))?;
    if file.as_ref().is_some_and(|file| file.len() > most) {
        return Err(too_large(most));
    }
    Ok((Parameters::of(fields), file))
}

fn too_large(most: usize) -> Refusal {
    let sentence = format!("The file must be at most {most} bytes.");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large", sentence)
}

/// The boundary of a content type; browsers write it without quotes.
fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameter) = content_type.split_once(';')?;
    let boundary = parameter.trim().strip_prefix("boundary=")?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_'()+,./:=?".contains(&b);
    (essence.trim().eq_ignore_ascii_case("multipart/form-data")
        && (1..=70).contains(&boundary.len())
        && boundary.bytes().all(is_plain))
    .then_some(boundary)
}

type Fields = Vec<(String, String)>;

/// Takes a body apart: fields, each name once, and the file, if one was chosen. No answer when it is malformed.
fn parse(body: &[u8], boundary: &str) -> Option<(Fields, Option<Vec<u8>>)> {
    let delimiter = format!("\r\n--{boundary}");
    let (mut fields, mut file, mut seen) = (Fields::new(), None, 0);
    let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..])?;
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n")?;
        let end = find(rest, delimiter.as_bytes())?;
        let (head, content) = split(&rest[..end], b"\r\n\r\n")?;
        rest = &rest[end + delimiter.len()..];
        seen += 1;
        let (name, is_file) = disposition(std::str::from_utf8(head).ok()?)?;
        if seen > MAX_PARTS || fields.iter().any(|(known, _)| *known == name) {
            return None;
        }
        if !is_file {
            fields.push((name, String::from_utf8(content.to_vec()).ok()?));
        } else if file.replace(content.to_vec()).is_some() {
            return None;
        }
    }
    // Browsers send an empty file when none was chosen.
    Some((fields, file.filter(|file| !file.is_empty())))
}

/// The name of a part, and whether it is a file. The file's own name is nobody's business.
fn disposition(head: &str) -> Option<(String, bool)> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))?;
    let parameters = value.trim().strip_prefix("form-data")?;
    let (_, rest) = parameters.split_once("; name=\"")?;
    let (name, rest) = rest.split_once('"')?;
    Some((name.to_owned(), rest.starts_with("; filename=\"")))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    find(text, at).map(|found| (&text[..found], &text[found + at.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "--X\r\nContent-Disposition: form-data; name=\"icon\"; filename=\"a\\\"b.png\"\r\nContent-Type: image/png\r\n\r\n";
    const FIELD: &str = "--X\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\ntoken\r\n";

    fn read(text: &str) -> Option<(Fields, Option<Vec<u8>>)> {
        parse(text.as_bytes(), "X")
    }

    #[test]
    fn what_browsers_send() {
        let token = vec![("csrf".to_owned(), "token".to_owned())];
        let whole = read(&format!("{FIELD}{FILE}\r\n\0--Y\r\n\r\n\r\n--X--\r\n"));
        assert_eq!(whole, Some((token.clone(), Some(b"\r\n\0--Y\r\n\r\n".to_vec()))));
        let none = read(&format!("{FIELD}{FILE}\r\n--X--\r\n"));
        assert_eq!(none, Some((token.clone(), None)));
        assert_eq!(read(&format!("{FIELD}--X--")), Some((token, None)));
        assert_eq!(read("--X--"), Some((Vec::new(), None)));
    }

    #[test]
    fn what_nobody_sends() {
        let many = FIELD.replace("csrf", "a").repeat(2);
        let names = (0..=MAX_PARTS).map(|n| FIELD.replace("csrf", &format!("f{n}")));
        let parts: String = names.collect();
        for text in [
            String::new(),
            "X".to_owned(),
            "--X".to_owned(),
            "--X\r\n".to_owned(),
            FIELD.to_owned(),
            format!("{FIELD}--X"),
            format!("{FIELD}--Y--"),
            format!("{FILE}\r\n{FILE}\r\n--X--"),
            format!("{many}--X--"),
            format!("{parts}--X--"),
            "--X\r\nContent-Type: text/plain\r\n\r\na\r\n--X--".to_owned(),
            "--X\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\na\r\n--X--".to_owned(),
            "--X\r\nContent-Disposition: form-data; name=a\r\n\r\na\r\n--X--".to_owned(),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
        let not_utf8 = [FIELD.replace("token\r\n", "").as_bytes(), b"\xff\r\n--X--"].concat();
        assert_eq!(parse(&not_utf8, "X"), None);
    }

    #[test]
    fn boundaries() {
        for good in [
            "multipart/form-data; boundary=----WebKitFormBoundaryAb1",
            "Multipart/Form-Data;boundary=X",
        ] {
            assert!(boundary(good).is_some(), "{good}");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for bad in [
            "",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=X",
            "application/x-www-form-urlencoded; boundary=X",
            "multipart/form-data; boundary=\"X\"",
            &long,
        ] {
            assert_eq!(boundary(bad), None, "{bad}");
        }
    }
}
