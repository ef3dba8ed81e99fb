//! Features over time on their way to JavaScript.

use napi::bindgen_prelude::{Env, Object, ToNapiValue};
use napi::{JsValue, sys};
use pure_sound::analysis::FeatureArray;
use pure_sound::engine::FeatureArrays;

use crate::promise::json;
use crate::samples::float_array;

/// `{ analysis, features: [{ name, bands, frames, data }] }`: the record as JSON, and each feature as a `Float32Array`, band after band;
/// `bands` is missing for a feature that is one number per frame.
pub struct Features {
    analysis: String,
    arrays: Vec<FeatureArray>,
}

impl Features {
    /// Of what the core gives.
    ///
    /// # Errors
    /// Those of [`json`].
    pub fn of(features: FeatureArrays) -> pure_sound::Result<Self> {
        Ok(Self { analysis: json(&features.analysis)?, arrays: features.arrays })
    }
}

impl ToNapiValue for Features {
    unsafe fn to_napi_value(raw: sys::napi_env, Self { analysis, arrays }: Self) -> napi::Result<sys::napi_value> {
        let env = Env::from_raw(raw);
        let mut object = Object::new(&env)?;
        object.set("analysis", analysis)?;
        let mut features = env.create_array(arrays.len() as u32)?;
        for (index, array) in arrays.into_iter().enumerate() {
            let mut feature = Object::new(&env)?;
            feature.set("name", array.name)?;
            feature.set("bands", array.bands.map(|bands| bands as u32))?;
            feature.set("frames", array.frames as f64)?;
            feature.set("data", float_array(&env, array.data)?)?;
            features.set(index as u32, feature)?;
        }
        object.set("features", features)?;
        Ok(object.raw())
    }
}
