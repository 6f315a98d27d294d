use image::{Rgba, codecs::jpeg::JpegEncoder};

use super::*;

const MARK: &str = "<script>alert(document.domain)</script>";

/// A picture with a red left half and a see-through right half.
fn picture(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, _| {
        if x < width / 2 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 0, 0, 0]) }
    })
}

fn file(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = DynamicImage::from(picture(width, height));
    match format {
        ImageFormat::Jpeg => picture.into_rgb8().write_to(&mut file, format),
        _ => picture.write_to(&mut file, format),
    }
    .expect("encodes");
    file.into_inner()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// CRC-32 as PNG has it (ISO 3309).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let checked = [kind.as_slice(), content].concat();
    let length = u32::try_from(content.len()).expect("short").to_be_bytes();
    [&length, checked.as_slice(), &crc(&checked).to_be_bytes()].concat()
}

/// A PNG with another chunk after its header, which is 8 + 25 bytes long.
fn with_chunk(png: &[u8], chunk: &[u8]) -> Vec<u8> {
    [&png[..33], chunk, &png[33..]].concat()
}

/// A PNG whose header claims another size.
fn claiming(png: &[u8], width: u32, height: u32) -> Vec<u8> {
    let content = [&width.to_be_bytes(), &height.to_be_bytes(), &png[24..29]].concat();
    [&png[..8], &chunk(*b"IHDR", &content), &png[33..]].concat()
}

#[tokio::test]
async fn every_format_becomes_a_square_png() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        for (width, height) in [(256, 256), (40, 10), (10, 900), (1, 1), (2_000, 2_000)] {
            let icon = draw(file(format, width, height)).await.expect("draws");
            assert_eq!(image::guess_format(&icon.png).ok(), Some(ImageFormat::Png));
            let drawn = image::load_from_memory(&icon.png).expect("decodes").into_rgba8();
            assert_eq!(drawn.dimensions(), (SIDE, SIDE), "{format:?} {width}x{height}");
            assert_eq!(icon.hash, sha256_base64url(&icon.png));
        }
    }
    let icon = draw(file(ImageFormat::Png, 40, 20)).await.expect("draws");
    let drawn = image::load_from_memory(&icon.png).expect("decodes").into_rgba8();
    assert_eq!(drawn.get_pixel(10, 128), &Rgba([255, 0, 0, 255]));
    for (x, y) in [(240, 128), (10, 10), (10, 250)] {
        assert_eq!(drawn.get_pixel(x, y).0[3], 0, "{x} {y}");
    }
    let again = draw(file(ImageFormat::Png, 40, 20)).await.expect("draws");
    assert_eq!(again, icon);
}

#[tokio::test]
async fn nothing_of_the_file_is_kept() {
    let png = file(ImageFormat::Png, 64, 64);
    let plain = draw(png.clone()).await.expect("draws");
    let text = chunk(*b"tEXt", format!("Comment\0{MARK}").as_bytes());
    let behind = [png.as_slice(), MARK.as_bytes(), b"PK\x05\x06"].concat();
    for polyglot in [with_chunk(&png, &text), behind] {
        assert!(has(&polyglot, MARK));
        assert_eq!(draw(polyglot).await.expect("draws"), plain);
    }
    let jpeg = file(ImageFormat::Jpeg, 64, 64);
    // A comment segment after the first marker: FF FE, its length, the text.
    let length = u16::try_from(MARK.len() + 2).expect("short").to_be_bytes();
    let comment = [&jpeg[..2], &[0xff, 0xfe], &length, MARK.as_bytes(), &jpeg[2..]].concat();
    for polyglot in [comment, [jpeg.as_slice(), MARK.as_bytes()].concat()] {
        assert!(has(&polyglot, MARK));
        assert!(!has(&draw(polyglot).await.expect("draws").png, MARK));
    }
}

#[tokio::test]
async fn a_photograph_stands_upright() {
    let mut jpeg = Vec::new();
    let picture = DynamicImage::from(picture(80, 40)).into_rgb8();
    JpegEncoder::new_with_quality(&mut jpeg, 100).encode_image(&picture).expect("encodes");
    // Exif, little endian, one entry: orientation 6, "turn right".
    let exif = [
        b"Exif\0\0II*\0\x08\0\0\0\x01\0".as_slice(),
        b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
    ]
    .concat();
    let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
    let turned = [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat();
    let icon = draw(turned).await.expect("draws");
    let drawn = image::load_from_memory(&icon.png).expect("decodes").into_rgba8();
    let (top, bottom) = (drawn.get_pixel(128, 40).0, drawn.get_pixel(128, 216).0);
    assert!(top[0] > 200 && bottom[0] < 60, "{top:?} {bottom:?}");
    assert_eq!(drawn.get_pixel(20, 128).0[3], 0);
}

#[tokio::test]
async fn what_is_no_picture() {
    let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\">{MARK}</svg>");
    for file in [
        svg.clone().into_bytes(),
        format!("<?xml version=\"1.0\"?>{svg}").into_bytes(),
        format!("<!doctype html>{MARK}").into_bytes(),
        Vec::new(),
        b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(),
        b"BM\0\0\0\0".to_vec(),
        b"\0\0\x01\0".to_vec(),
        b"%PDF-1.7".to_vec(),
    ] {
        assert_eq!(draw(file.clone()).await, Err(IconError::Format), "{file:?}");
    }
    let mut damaged = vec![
        b"\x89PNG\r\n\x1a\n<svg onload=alert(1)>".to_vec(),
        b"\xff\xd8\xff\xe0<script>".to_vec(),
        b"RIFF\x10\0\0\0WEBPVP8 ".to_vec(),
    ];
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let whole = file(format, 64, 64);
        damaged.extend([12, 20, 40].map(|length| whole[..length].to_vec()));
    }
    let png = file(ImageFormat::Png, 64, 64);
    damaged.push(png[..png.len() / 2].to_vec());
    for file in damaged {
        let drawn = draw(file.clone()).await;
        assert!(
            matches!(drawn, Err(IconError::Damaged | IconError::Format)),
            "{file:?}: {drawn:?}"
        );
    }
}

#[tokio::test]
async fn bombs_are_refused_before_they_go_off() {
    let png = file(ImageFormat::Png, 8, 8);
    let flat = file(ImageFormat::Png, 4_000, 4_000);
    assert!(flat.len() < MAX_FILE);
    for bomb in [
        claiming(&png, 60_000, 60_000),
        claiming(&png, 4_096, 4_096),
        claiming(&png, 5_000, 1),
        claiming(&png, u32::MAX, u32::MAX),
        flat,
        file(ImageFormat::WebP, 4_000, 4_000),
        file(ImageFormat::Jpeg, 3_000, 2_000),
    ] {
        let drawn = draw(bomb).await;
        assert!(matches!(drawn, Err(IconError::Pixels | IconError::Damaged)), "{drawn:?}");
    }
    let padded = [png, vec![0; MAX_FILE]].concat();
    assert_eq!(draw(padded).await, Err(IconError::Large));
    assert_eq!(draw(vec![0; 10 * 1024 * 1024]).await, Err(IconError::Large));
}
