//! Pictures that developers upload: decoded within limits, and drawn anew. Nothing of the file itself is kept.

use std::io::Cursor;

use counterfoil_protocol::encoding::sha256_base64url;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbaImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
    imageops,
};
use tokio::{sync::Semaphore, task};

use crate::store::Picture;

/// The largest file, in bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// Pixels of each side of what comes out.
pub const SIDE: u32 = 256;

/// The most pixels of a side of what goes in.
const MAX_SIDE: u32 = 4_096;

/// The most pixels of what goes in.
const MAX_PIXELS: u64 = 4 * 1024 * 1024;

/// The most memory for decoding, in bytes.
const MAX_MEMORY: u64 = 64 * 1024 * 1024;

/// Pictures at a time: each takes [`MAX_MEMORY`] at worst, and a processor for some 100 ms.
static AT_WORK: Semaphore = Semaphore::const_new(2);

/// Pictures that may wait.
static WAITING: Semaphore = Semaphore::const_new(16);

/// Why there is no picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IconError {
    /// More pictures are being drawn than the machine can take.
    #[error("Many pictures are being drawn just now. Try again in a few seconds.")]
    Busy,
    /// Neither PNG, JPEG nor WebP.
    #[error("The picture must be a PNG, JPEG or WebP file. SVG is not accepted.")]
    Format,
    /// Does not decode.
    #[error("The picture is damaged or incomplete. Save it again, then upload it.")]
    Damaged,
    /// The file is too large.
    #[error("The file must be at most 1 MB.")]
    Large,
    /// The picture has too many pixels, or none.
    #[error("The picture must have at most 4,096 pixels a side and 4 million in all.")]
    Pixels,
}

/// Draws a picture anew, off the threads that serve requests.
pub async fn draw(file: Vec<u8>) -> Result<Picture, IconError> {
    let waiting = WAITING.try_acquire().map_err(|_| IconError::Busy)?;
    let working = AT_WORK.acquire().await.map_err(|_| IconError::Busy)?;
    drop(waiting);
    let drawn = task::spawn_blocking(move || {
        let drawn = draw_now(&file);
        drop(working);
        drawn
    });
    // A decoder that panics has met a file that it does not understand.
    drawn.await.unwrap_or(Err(IconError::Damaged))
}

fn draw_now(file: &[u8]) -> Result<Picture, IconError> {
    if file.len() > MAX_FILE {
        return Err(IconError::Large);
    }
    let picture = decode(file)?;
    let (width, height) = fitting(picture.width(), picture.height());
    let picture = imageops::resize(&picture, width, height, imageops::FilterType::CatmullRom);
    let mut square = RgbaImage::new(SIDE, SIDE);
    let (x, y) = ((SIDE - width) / 2, (SIDE - height) / 2);
    imageops::replace(&mut square, &picture, x.into(), y.into());
    let mut png = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive);
    square.write_with_encoder(encoder).map_err(|_| IconError::Damaged)?;
    Ok(Picture { hash: sha256_base64url(&png), png })
}

/// Only the format that the first bytes tell is tried. Size is judged before anything is decoded.
fn decode(file: &[u8]) -> Result<RgbaImage, IconError> {
    let format = image::guess_format(file).map_err(|_| IconError::Format)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) {
        return Err(IconError::Format);
    }
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| fault(&error))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(IconError::Pixels);
    }
    let orientation = decoder.orientation().map_err(|error| fault(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| fault(&error))?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgba8())
}

fn fault(error: &image::ImageError) -> IconError {
    match error {
        image::ImageError::Limits(_) => IconError::Pixels,
        _ => IconError::Damaged,
    }
}

/// The largest size within the square that keeps the proportions.
fn fitting(width: u32, height: u32) -> (u32, u32) {
    let longest = u64::from(width.max(height)).max(1);
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(SIDE) / longest;
        u32::try_from(side).unwrap_or(SIDE).clamp(1, SIDE)
    };
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests;
