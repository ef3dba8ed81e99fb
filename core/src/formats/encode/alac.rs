//! ALAC in M4A.

use std::sync::Arc;

use rayon::ThreadPool;

use super::{AlacSettings, Encoder, Sink};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::{Error, Result};
use crate::formats::tags::Metadata;

pub(crate) struct AlacEncoder(Spec);

impl AlacEncoder {
    pub fn new(
        spec: Spec,
        _settings: &AlacSettings,
        _sink: Box<dyn Sink>,
        _metadata: &Metadata,
        _frames_hint: Option<u64>,
        _pool: Option<Arc<ThreadPool>>,
    ) -> Result<Self> {
        let _ = Self(spec);
        Err(Error::unsupported("output format", "alac"))
    }
}
impl Encoder for AlacEncoder {
    fn spec(&self) -> Spec {
        self.0
    }
    fn write(&mut self, _: &Buffer) -> Result<()> {
        Err(Error::unsupported("output format", "alac"))
    }
    fn write_int(&mut self, _: &IntBuffer) -> Result<()> {
        Err(Error::unsupported("output format", "alac"))
    }
    fn finish(&mut self) -> Result<super::Encoded> {
        Err(Error::unsupported("output format", "alac"))
    }
}
