//! Ogg pages (RFC 3533), written as a stream of packets. Serial and order depend on nothing but the content.

use super::out::Out;
use crate::error::Result;

/// Serial number of the only stream: "PSND". Random ones would make equal inputs give different files.
const SERIAL: u32 = 0x444E_5350;
/// Most segments of a page.
const MAX_SEGMENTS: usize = 255;

/// CRC-32 with polynomial 0x04C11DB7, no reflection, start 0; eight bytes at once.
static CRC: [[u32; 256]; 8] = crc_tables();

const fn crc_tables() -> [[u32; 256]; 8] {
    let mut t = [[0; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 != 0 { (crc << 1) ^ 0x04C1_1DB7 } else { crc << 1 };
            bit += 1;
        }
        t[0][i] = crc;
        i += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut i = 0;
        while i < 256 {
            t[n][i] = (t[n - 1][i] << 8) ^ t[0][(t[n - 1][i] >> 24) as usize];
            i += 1;
        }
        n += 1;
    }
    t
}

fn crc32(bytes: &[u8]) -> u32 {
    let t = &CRC;
    let (eights, rest) = bytes.as_chunks::<8>();
    let crc = eights.iter().fold(0_u32, |crc, b| {
        let c = crc.to_be_bytes();
        t[7][usize::from(b[0] ^ c[0])]
            ^ t[6][usize::from(b[1] ^ c[1])]
            ^ t[5][usize::from(b[2] ^ c[2])]
            ^ t[4][usize::from(b[3] ^ c[3])]
            ^ t[3][usize::from(b[4])]
            ^ t[2][usize::from(b[5])]
            ^ t[1][usize::from(b[6])]
            ^ t[0][usize::from(b[7])]
    });
    rest.iter().fold(crc, |crc, b| (crc << 8) ^ t[0][usize::from((crc >> 24) as u8 ^ b)])
}

/// Writes one logical stream.
pub(crate) struct OggWriter {
    out: Out,
    sequence: u32,
    /// Lacing values and body of the page being filled.
    lacing: Vec<u8>,
    body: Vec<u8>,
    /// Granule position of the last packet that ends on the page.
    granule: Option<u64>,
    /// True when the page begins inside a packet.
    continued: bool,
}

impl OggWriter {
    pub fn new(out: Out) -> Self {
        Self { out, sequence: 0, lacing: Vec::new(), body: Vec::new(), granule: None, continued: false }
    }

    /// Adds a packet that ends at `granule`.
    pub fn packet(&mut self, packet: &[u8], granule: u64) -> Result<()> {
        let mut rest = packet;
        loop {
            if self.lacing.len() == MAX_SEGMENTS {
                self.page(false)?;
                self.continued = rest.len() < packet.len();
            }
            let n = rest.len().min(255);
            self.lacing.push(n as u8);
            self.body.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            if n < 255 {
                self.granule = Some(granule);
                return Ok(());
            }
        }
    }

    /// Ends the page, when it holds anything.
    pub fn flush(&mut self) -> Result<()> {
        if self.lacing.is_empty() { Ok(()) } else { self.page(false) }
    }

    /// Writes the last page and everything to the sink; returns the number of bytes.
    pub fn finish(&mut self) -> Result<u64> {
        self.page(true)?;
        self.out.finish()
    }

    fn page(&mut self, last: bool) -> Result<()> {
        let mut page = b"OggS\0".to_vec();
        page.push(u8::from(self.continued) | u8::from(self.sequence == 0) << 1 | u8::from(last) << 2);
        // -1 when no packet ends here.
        page.extend_from_slice(&self.granule.unwrap_or(u64::MAX).to_le_bytes());
        page.extend_from_slice(&SERIAL.to_le_bytes());
        page.extend_from_slice(&self.sequence.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        page.push(self.lacing.len() as u8);
        page.extend_from_slice(&self.lacing);
        page.extend_from_slice(&self.body);
        let crc = crc32(&page);
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        self.out.write(&page)?;
        self.sequence += 1;
        self.lacing.clear();
        self.body.clear();
        self.granule = None;
        self.continued = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::SharedSink;
    use super::*;

    #[test]
    fn crc_of_the_usual_test_string() {
        // CRC-32/BZIP2 has the same polynomial but start and final xor of all ones; POSIX cksum's core has start 0. For
        // start 0 and no xor the check value is 0x89A1897F.
        assert_eq!(crc32(b"123456789"), 0x89A1_897F);
    }

    #[test]
    fn packets_come_back_whole_through_an_independent_reader() {
        let sizes = [0_usize, 1, 254, 255, 256, 510, 70_000, 255 * 255, 255 * 256, 3];
        let sink = SharedSink::default();
        let mut w = OggWriter::new(Out::new(Box::new(sink.clone())).unwrap());
        let packet = |i: usize, n: usize| (0..n).map(|k| (k * 7 + i) as u8).collect::<Vec<u8>>();
        for (i, n) in sizes.iter().enumerate() {
            w.packet(&packet(i, *n), i as u64 * 10).unwrap();
            if i % 3 == 0 && i + 1 < sizes.len() {
                w.flush().unwrap();
            }
        }
        w.finish().unwrap();
        let mut reader = ogg::PacketReader::new(std::io::Cursor::new(sink.bytes()));
        for (i, n) in sizes.iter().enumerate() {
            let p = reader.read_packet().unwrap().unwrap();
            assert_eq!(p.data, packet(i, *n), "packet {i}");
            assert_eq!(p.last_in_stream(), i + 1 == sizes.len());
        }
        assert!(reader.read_packet().unwrap().is_none());
    }
}
