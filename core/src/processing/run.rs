//! Runs a job: the three routes, the threads, the publication, the report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::analyse::{Analysed, TrimmedReader, analyse, new_meter};
use super::control::{Control, Stage};
use super::job::{Job, JobOutput, Route};
use super::lane::{Finished, Lane, LaneContext};
use super::pipe::{BLOCK_FRAMES, block_pipe, first_cause, pipe_bytes, two_stages};
use super::progress::{StageFn, Tracker};
use super::publish::publish_all;
use super::recipe::{LevelTarget, Recipe, Verify};
use super::report::{Report, Timing};
use super::spool::Spool;
use crate::audio::{Buffer, IntBuffer};
use crate::error::{Error, Result};
use crate::formats::encode::{Encoder, PcmSample, pack_ints};
use crate::formats::tags::{self, Metadata};
use crate::formats::{Codec, CodecSet, Decoder, Duration, FormatSettings, MediaInfo};
use crate::meter::Loudness;
use crate::observe::Carrier;
use crate::resources::Permit;
use crate::services::seams::FileSystem;
use crate::storage::Place;

/// What a run takes from the engine.
pub(crate) struct Resources {
    pub pool: Arc<rayon::ThreadPool>,
    pub spool_memory_bytes: u64,
    pub temp_dir: Option<PathBuf>,
    pub files: Arc<dyn FileSystem>,
    pub codecs: Arc<dyn CodecSet>,
    /// What the run may take.
    pub permit: Arc<Permit>,
}

/// Layout version of [`Report`].
const REPORT_VERSION: u32 = 1;

/// Runs `recipe` on an opened input. `stages` hears of each stage that is entered.
pub(crate) fn run(
    mut decoder: Box<dyn Decoder>,
    media: &MediaInfo,
    recipe: &Recipe,
    resources: &Resources,
    control: &Control,
    stages: &StageFn<'_>,
) -> Result<Report> {
    let start = Instant::now();
    let job = Job::decide(recipe, decoder.info())?;
    let span = tracing::info_span!("process", route = ?job.route, outputs = recipe.outputs.len());
    let _entered = span.enter();
    for output in &recipe.outputs {
        refuse_input_as_output(&recipe.input, &output.path)?;
    }
    let frames = expected_frames(recipe, decoder.info().spec.rate_hz, decoder.info().duration);
    let tracker = Tracker::new(control, decoder.info().spec.rate_hz, frames)
        .with_stages(stages)
        .with_memory(resources.permit.memory())
        .with_outputs(recipe.outputs.len());
    let (metadata, losses) = output_metadata(recipe, media, &job);
    let mut context = LaneContext {
        recipe,
        job: &job,
        metadata: &metadata,
        losses: &losses,
        tracker: &tracker,
        pool: &resources.pool,
        files: &*resources.files,
        codecs: &*resources.codecs,
        frames_hint: None,
    };
    tracker.check()?;
    tracker.enter(Stage::Analyse, 0);
    let mut hash = None;
    let (analysed, finished, analyse_s) = match (job.route, recipe.level) {
        (Route::Copy, _) => {
            context.frames_hint = frames;
            let copied = run_copy(&mut *decoder, &context)?;
            hash = Some(copied.hash);
            (copied.analysed, copied.finished, start.elapsed().as_secs_f64())
        }
        (Route::Levelled, Some(target)) => run_levelled(&mut *decoder, &mut context, resources, target)?,
        _ => {
            context.frames_hint = frames
                .filter(|_| job.front.is_empty() || recipe.filters.is_empty())
                .map(|f| scale_frames(f, decoder.info().spec.rate_hz, job.working.rate_hz));
            let (analysed, finished) = run_direct(&mut *decoder, &context)?;
            (analysed, finished, start.elapsed().as_secs_f64())
        }
    };
    tracker.check()?;
    tracker.enter(Stage::Publish, 0);
    let publish = tracing::info_span!("publish").entered();
    let mut timing = Timing { analyse_s, ..Timing::default() };
    let (mut outputs, mut pending) = (Vec::new(), Vec::new());
    for done in finished {
        pending.push(done.pending);
        timing.solve_s += done.solve_s;
        timing.encode_s += done.encode_s;
        timing.verify_s += done.verify_s;
        outputs.push(done.report);
    }
    publish_all(&*resources.files, pending, recipe.overwrite)?;
    drop(publish);
    let mut input = decoder.info().clone();
    let seconds = input.spec.seconds(analysed.frames);
    input.duration = Some(Duration { frames: analysed.frames, exact: true });
    timing.total_s = start.elapsed().as_secs_f64();
    timing.realtime_factor = seconds / timing.total_s.max(1e-9);
    tracker.done();
    tracing::info!(seconds, total_s = timing.total_s, "processed");
    Ok(Report {
        report_version: REPORT_VERSION,
        engine_version: env!("CARGO_PKG_VERSION").into(),
        preset: recipe.preset.clone(),
        input,
        input_pcm_blake3: hash,
        damage: decoder.damage().clone(),
        steps: job.steps.clone(),
        findings: analysed.findings,
        before: analysed.before,
        filtered: analysed.filtered,
        outputs,
        timing,
        from_cache: false,
    })
}

type RouteResult = (Analysed, Vec<Finished>, f64);

fn run_levelled(
    decoder: &mut dyn Decoder,
    context: &mut LaneContext<'_>,
    resources: &Resources,
    target: LevelTarget,
) -> Result<RouteResult> {
    let start = Instant::now();
    let job = context.job;
    let mut spool = Spool::new(job.working, resources)?;
    let analysed = analyse(decoder, &context.recipe.trim, &job.front, true, context.tracker, &mut |b| spool.push(b))?;
    let analyse_s = start.elapsed().as_secs_f64();
    let Some(filtered) = analysed.filtered else { return Err(Error::internal("the first pass measures")) };
    context.frames_hint = Some(spool.frames());
    context.tracker.expect(spool.frames(), job.working.rate_hz);
    // Entered even when no pass is needed to find the gain.
    context.tracker.enter(Stage::Solve, 0);
    let finished = run_lanes(context, resources, |lane| lane.run_levelled(&spool, &filtered, &target))?;
    Ok((analysed, finished, analyse_s))
}

/// Runs all lanes, as many at once as the engine has threads. Each makes its own bytes, so the number changes nothing.
fn run_lanes(
    context: &LaneContext<'_>,
    resources: &Resources,
    work: impl Fn(Lane<'_>) -> Result<Finished> + Sync,
) -> Result<Vec<Finished>> {
    let lanes = (0..context.job.outputs.len()).map(|i| Lane::new(context, i)).collect::<Result<Vec<_>>>()?;
    let at_once = resources.pool.current_num_threads().max(1);
    let carrier = Carrier::here();
    let mut results = Vec::new();
    let mut lanes = lanes.into_iter();
    loop {
        let group: Vec<_> = lanes.by_ref().take(at_once).collect();
        if group.is_empty() {
            break;
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = group.into_iter().map(|lane| scope.spawn(|| carrier.run(|| work(lane)))).collect();
            results.extend(
                threads
                    .into_iter()
                    .map(|t| t.join().unwrap_or_else(|_| Err(Error::internal("an output thread panicked")))),
            );
        });
    }
    all_or_cause(results)
}

fn all_or_cause(results: Vec<Result<Finished>>) -> Result<Vec<Finished>> {
    let mut finished = Vec::new();
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(f) => finished.push(f),
            Err(e) => errors.push(e),
        }
    }
    first_cause(errors).map_or(Ok(finished), Err)
}

fn run_direct(decoder: &mut dyn Decoder, context: &LaneContext<'_>) -> Result<(Analysed, Vec<Finished>)> {
    let job = context.job;
    let lanes = (0..job.outputs.len()).map(|i| Lane::new(context, i)).collect::<Result<Vec<_>>>()?;
    let measure = context.recipe.verify == Verify::Full;
    let carrier = &Carrier::here();
    std::thread::scope(|scope| {
        let mut senders = Vec::new();
        let mut threads = Vec::new();
        for lane in lanes {
            let (sender, receiver) = block_pipe();
            senders.push(sender);
            threads.push(scope.spawn(move || carrier.run(|| lane.run_direct(receiver))));
        }
        let analysed = analyse(decoder, &context.recipe.trim, &job.front, measure, context.tracker, &mut |block| {
            senders.iter().try_for_each(|s| s.send(block))
        });
        if analysed.is_err() {
            // Lanes must not take the end of their blocks for the end of the audio.
            context.tracker.fail();
        }
        drop(senders);
        let results: Vec<_> = threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(Error::internal("an output thread panicked"))))
            .collect();
        match (analysed, all_or_cause(results)) {
            (Ok(a), Ok(f)) => Ok((a, f)),
            (a, f) => {
                let cause = first_cause(a.err().into_iter().chain(f.err()));
                Err(cause.unwrap_or_else(|| Error::internal("pipeline")))
            }
        }
    })
}

/// Outcome of the copy route.
struct Copied {
    analysed: Analysed,
    finished: Vec<Finished>,
    hash: String,
}

fn run_copy(decoder: &mut dyn Decoder, context: &LaneContext<'_>) -> Result<Copied> {
    let spec = decoder.info().spec;
    let tracker = context.tracker;
    let _blocks = tracker.memory().take(pipe_bytes(spec))?;
    let lanes = (0..context.job.outputs.len()).map(|i| Lane::new(context, i)).collect::<Result<Vec<_>>>()?;
    let mut encoders = lanes.iter().map(Lane::encoder).collect::<Result<Vec<Box<dyn Encoder>>>>()?;
    let measure = context.recipe.verify == Verify::Full;
    let mut input_hash = PcmHash::default();
    let mut meter = measure.then(|| new_meter(spec)).transpose()?;
    let trim = context.recipe.trim;
    // Where nothing but bytes are moved, handing blocks to another thread costs more than the work.
    let trivial = !measure && is_pcm(decoder.info().codec) && context.job.outputs.iter().all(writes_pcm);
    let mut read_all = |deliver: &mut dyn FnMut(&mut IntBuffer) -> Result<()>| {
        let mut reader = TrimmedReader::new(decoder, &trim)?;
        let mut block = IntBuffer::new(spec, BLOCK_FRAMES);
        let mut frames = 0;
        while reader.read_int(&mut block)? > 0 {
            tracker.check()?;
            frames += block.frames() as u64;
            tracker.advance(Stage::Analyse, block.frames(), spec.rate_hz);
            deliver(&mut block)?;
        }
        Ok(frames)
    };
    let mut floats = Buffer::new(spec, 0);
    let mut take = |block: &mut IntBuffer| {
        for encoder in &mut encoders {
            encoder.write_int(block)?;
        }
        if let Some(meter) = &mut meter {
            input_hash.update(block);
            floats.reserve(spec, block.frames());
            floats.copy_from_int(block);
            meter.push(&floats);
        }
        Ok(())
    };
    let frames = if trivial {
        read_all(&mut take)?
    } else {
        two_stages::<i32, _, _>(
            |send| read_all(&mut |block| send.send_away(block)),
            |receive| {
                receive.drain(&mut |block| {
                    tracker.check()?;
                    take(block)
                })
            },
        )?
        .0
    };
    let before = meter.map(|m| m.summary());
    let hash = input_hash.finish();
    let mut finished = Vec::new();
    tracker.enter(Stage::Verify, frames * lanes.len() as u64);
    for (lane, mut encoder) in lanes.into_iter().zip(encoders) {
        tracker.check()?;
        let encoded = encoder.finish()?;
        drop(encoder);
        let bit_exact = match context.recipe.verify {
            Verify::Full => Some(holds_exactly(&lane, &hash, tracker)?),
            Verify::None => None,
        };
        if bit_exact == Some(false) {
            return Err(Error::internal(format!("{:?} did not keep the samples", encoded)));
        }
        finished.push(lane.finish_copy(encoded, before, bit_exact)?);
    }
    let analysed = Analysed { filtered: None::<Loudness>, before, frames, findings: Vec::new() };
    Ok(Copied { analysed, finished, hash })
}

/// True for samples that only have to be put in order.
fn is_pcm(codec: Codec) -> bool {
    matches!(codec, Codec::Pcm | Codec::PcmFloat | Codec::ALaw | Codec::MuLaw)
}

fn writes_pcm(output: &JobOutput) -> bool {
    use FormatSettings::{Aiff, Caf, W64, Wav};
    matches!(output.negotiated.settings, Wav(_) | W64(_) | Aiff(_) | Caf(_))
}

/// Decodes what was written and compares its samples by hash. A float WAV holds up to 24 bits exactly.
fn holds_exactly(lane: &Lane<'_>, hash: &str, tracker: &Tracker<'_>) -> Result<bool> {
    let mut decoder = lane.reopen()?;
    let spec = decoder.info().spec;
    let ints = matches!(decoder.info().sample_format, crate::formats::SampleFormat::Int(_));
    let mut written = PcmHash::default();
    let mut block = IntBuffer::new(spec, BLOCK_FRAMES);
    let mut floats = Buffer::new(spec, BLOCK_FRAMES);
    loop {
        tracker.check()?;
        let frames = if ints {
            decoder.read_int(&mut block, BLOCK_FRAMES)?
        } else {
            let frames = decoder.read(&mut floats, BLOCK_FRAMES)?;
            block.reserve(spec, frames);
            block.set_frames(frames);
            for (to, from) in block.channels_mut().zip(floats.channels()) {
                for (t, f) in to.iter_mut().zip(from) {
                    // Exact: a float of 24 bits times 2^31 is an integer below 2^31.
                    *t = (f64::from(*f) * 2_147_483_648.0) as i32;
                }
            }
            frames
        };
        if frames == 0 {
            return Ok(written.finish() == hash);
        }
        written.update(&block);
        tracker.advance(Stage::Verify, frames, spec.rate_hz);
    }
}

/// BLAKE3 over left-justified 32-bit little-endian samples, interleaved.
#[derive(Default)]
struct PcmHash {
    hasher: blake3::Hasher,
    bytes: Vec<u8>,
}

impl PcmHash {
    fn update(&mut self, block: &IntBuffer) {
        let planes: Vec<&[i32]> = block.channels().collect();
        pack_ints(&mut self.bytes, &planes, PcmSample::S32, false, 0);
        self.hasher.update(&self.bytes);
    }

    fn finish(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

fn output_metadata(recipe: &Recipe, media: &MediaInfo, job: &Job) -> (Metadata, Vec<tags::Loss>) {
    let overrides: Vec<_> = recipe.set_tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    // Filters may change the level as well as a target does.
    let level_changed = recipe.level.is_some() || !recipe.filters.is_empty();
    let (mut metadata, losses) = tags::transfer(&media.metadata, recipe.tags, &overrides, level_changed);
    // Without a trim too: the last chapter gets its end.
    let length = media.stream.duration.map_or(f64::MAX, |d| media.stream.spec.seconds(d.frames));
    let end = recipe.trim.end_s.unwrap_or(length).min(length);
    tags::shift_chapters(&mut metadata, recipe.trim.start_s, end - recipe.trim.start_s);
    let had_gain = media.metadata.fields.iter().any(|f| f.key.starts_with("replaygain_") || f.key.starts_with("r128_"));
    if let (Some(LevelTarget::Loudness { integrated_lufs, true_peak_dbtp }), true, Route::Levelled) =
        (recipe.level, had_gain, job.route)
    {
        tags::set_replay_gain(&mut metadata, integrated_lufs, true_peak_dbtp);
    }
    (metadata, losses)
}

fn expected_frames(recipe: &Recipe, rate_hz: u32, duration: Option<Duration>) -> Option<u64> {
    let frames = duration?.frames;
    let rate = f64::from(rate_hz);
    let start = (recipe.trim.start_s * rate).round() as u64;
    let end = recipe.trim.end_s.map_or(frames, |e| ((e * rate).round() as u64).min(frames));
    Some(end.saturating_sub(start))
}

fn scale_frames(frames: u64, from_hz: u32, to_hz: u32) -> u64 {
    ((u128::from(frames) * u128::from(to_hz) + u128::from(from_hz) / 2) / u128::from(from_hz.max(1))) as u64
}

/// An output that is the input would destroy it.
pub(crate) fn refuse_input_as_output(input: &Path, output: &Path) -> Result<()> {
    let same = match (Place::of(input), Place::of(output)) {
        (Ok(Place::File(input)), Ok(Place::File(output))) => match (input.canonicalize(), output.canonicalize()) {
            (Ok(a), Ok(b)) => a == b || same_file(&a, &b),
            _ => false,
        },
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    if same {
        return Err(Error::Conflict { what: format!("output {} is the input", output.display()) });
    }
    Ok(())
}

#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (a.metadata(), b.metadata()) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}
#[cfg(not(unix))]
fn same_file(_: &Path, _: &Path) -> bool {
    false
}
