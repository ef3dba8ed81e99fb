//! A drawing surface with a palette, and its PNG.

use super::colour::Colour;
use super::font::{ADVANCE, GLYPH_HEIGHT, GLYPH_WIDTH, glyph};
use crate::error::{Error, Result};

/// A colour of the palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ink(u8);

/// Where text stands beside its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// Pixels of one byte each, into a palette of up to 256 colours.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    palette: Vec<Colour>,
    /// Pixels of the picture for one of the font.
    scale: usize,
}

/// A rectangle of a canvas, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Area {
    /// First column to the right of it.
    pub fn right(&self) -> usize {
        self.left + self.width
    }

    /// First row below it.
    pub fn bottom(&self) -> usize {
        self.top + self.height
    }
}

impl Canvas {
    /// A canvas of one colour.
    pub fn new(width: usize, height: usize, background: Colour, scale: usize) -> Self {
        Self { width, height, pixels: vec![0; width * height], palette: vec![background], scale: scale.max(1) }
    }

    /// A colour to draw with. Beyond 256 of them it is the last one.
    pub fn ink(&mut self, colour: Colour) -> Ink {
        let known = self.palette.iter().position(|c| *c == colour);
        let index = known.unwrap_or_else(|| {
            if self.palette.len() < 256 {
                self.palette.push(colour);
            }
            self.palette.len() - 1
        });
        Ink(index as u8)
    }

    /// Sets a pixel, if there is such a one.
    pub fn set(&mut self, x: usize, y: usize, ink: Ink) {
        if x < self.width && y < self.height {
            self.pixels[y * self.width + x] = ink.0;
        }
    }

    /// Fills a rectangle, as far as it is on the canvas.
    pub fn fill(&mut self, area: Area, ink: Ink) {
        let (right, bottom) = (area.right().min(self.width), area.bottom().min(self.height));
        if area.left < right {
            for y in area.top..bottom {
                self.pixels[y * self.width + area.left..y * self.width + right].fill(ink.0);
            }
        }
    }

    /// A line of pixels down a column, from one row to another, both included.
    pub fn column(&mut self, x: usize, from: usize, to: usize, ink: Ink) {
        self.fill(Area { left: x, top: from.min(to), width: 1, height: from.abs_diff(to) + 1 }, ink);
    }

    /// A line of pixels along a row.
    pub fn row(&mut self, y: usize, left: usize, width: usize, ink: Ink) {
        self.fill(Area { left, top: y, width, height: 1 }, ink);
    }

    /// Width of a text in pixels.
    pub fn text_width(&self, text: &str) -> usize {
        (text.chars().count() * ADVANCE).saturating_sub(1) * self.scale
    }

    /// Height of a line of text in pixels.
    pub fn text_height(&self) -> usize {
        GLYPH_HEIGHT * self.scale
    }

    /// Pixels of the picture for one of the font.
    pub fn scale(&self) -> usize {
        self.scale
    }

    /// Writes a text whose top is `y`, beside `x`. What would be off the canvas is moved onto it.
    pub fn text(&mut self, text: &str, x: usize, y: usize, align: Align, ink: Ink) {
        let width = self.text_width(text);
        let left = match align {
            Align::Left => x,
            Align::Centre => x.saturating_sub(width / 2),
            Align::Right => x.saturating_sub(width),
        };
        let mut left = left.min(self.width.saturating_sub(width));
        let top = y.min(self.height.saturating_sub(self.text_height()));
        for character in text.chars() {
            for (row, bits) in glyph(character).into_iter().enumerate() {
                for column in (0..GLYPH_WIDTH).filter(|column| bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1) {
                    let dot = Area {
                        left: left + column * self.scale,
                        top: top + row * self.scale,
                        width: self.scale,
                        height: self.scale,
                    };
                    self.fill(dot, ink);
                }
            }
            left += ADVANCE * self.scale;
        }
    }

    /// The picture as PNG with a palette.
    ///
    /// # Errors
    /// [`Error::Internal`] when the encoder refuses, which it does not do for sizes that were checked.
    pub fn png(&self) -> Result<Vec<u8>> {
        let fail = |e: png::EncodingError| Error::internal(format!("PNG: {e}"));
        let side = |pixels: usize| u32::try_from(pixels).map_err(|e| Error::internal(e.to_string()));
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side(self.width)?, side(self.height)?);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(self.palette.iter().flat_map(|c| [c.red, c.green, c.blue]).collect::<Vec<u8>>());
        encoder.set_compression(png::Compression::Balanced);
        // Neighbouring numbers of a palette mean nothing to each other, but for those of a colour map, which are in order.
        encoder.set_filter(png::Filter::NoFilter);
        let mut writer = encoder.write_header().map_err(fail)?;
        writer.write_image_data(&self.pixels).map_err(fail)?;
        writer.finish().map_err(fail)?;
        Ok(bytes)
    }
}

/// A PNG as a decoder sees it: width, height and a colour for each pixel.
#[cfg(test)]
pub(super) fn decoded(png: &[u8]) -> (usize, usize, Vec<Colour>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgb).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    let pixels = rgb.chunks(3).map(|p| Colour { red: p[0], green: p[1], blue: p[2] }).collect();
    (info.width as usize, info.height as usize, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_holds_what_was_drawn() {
        let (paper, blue, red) =
            (Colour::from_rgb(0xff_ffff), Colour::from_rgb(0x00_00ff), Colour::from_rgb(0xff_0000));
        let mut canvas = Canvas::new(30, 12, paper, 1);
        let (ink, pen) = (canvas.ink(blue), canvas.ink(red));
        canvas.fill(Area { left: 25, top: 8, width: 100, height: 100 }, ink);
        canvas.text("I", 2, 1, Align::Left, pen);
        canvas.set(99, 99, pen);
        let (width, height, pixels) = decoded(&canvas.png().unwrap());
        assert_eq!((width, height), (30, 12));
        let count = |colour| pixels.iter().filter(|p| **p == colour).count();
        // An I has two bars of three and a stem of five.
        assert_eq!((count(blue), count(red), count(paper)), (5 * 4, 11, 360 - 20 - 11));
        assert_eq!((pixels[8 * 30 + 25], pixels[30 + 4]), (blue, red));
    }

    #[test]
    fn text_stays_on_the_canvas() {
        let (paper, red) = (Colour::from_rgb(0xff_ffff), Colour::from_rgb(0xff_0000));
        for (x, y, align) in [(0, 0, Align::Right), (50, 50, Align::Left), (49, 0, Align::Centre)] {
            let mut canvas = Canvas::new(50, 20, paper, 2);
            let pen = canvas.ink(red);
            canvas.text("I", x, y, align, pen);
            assert_eq!(canvas.pixels.iter().filter(|p| **p != 0).count(), 11 * 4, "{x} {y}");
        }
    }

    #[test]
    fn the_palette_is_full_at_256() {
        let mut canvas = Canvas::new(2, 1, Colour::from_rgb(0), 1);
        let inks: Vec<Ink> = (0..300).map(|i| canvas.ink(Colour::from_rgb(i))).collect();
        assert_eq!((inks[255], inks[299], canvas.palette.len()), (Ink(255), Ink(255), 256));
        canvas.png().unwrap();
    }
}
