// The types of the package. Those of options and records are generated: lib/types.d.ts.
/// <reference types="node" />

import type { Duplex, Transform } from 'node:stream'
import type * as T from './lib/types'

export * from './lib/types'

/** A path, a `file:` URL, the bytes of a file, a stream of them, a `Blob`, or audio in memory. */
export type Input =
  | string
  | URL
  | ArrayBuffer
  | NodeJS.ArrayBufferView
  | AsyncIterable<Uint8Array | string>
  | ReadableStream<Uint8Array>
  | Blob
  | AudioLike

/** A path or a `file:` URL. */
export type PathLike = string | URL

/** Audio in memory: one array per channel, +/-1.0 is full scale. */
export interface AudioLike {
  /** Frames per second, in Hz. */
  rate_hz: number
  /** `mono`, `stereo`, `5.1`, ... or a number of channels. Default: the usual layout of that many channels. */
  layout?: string | number
  /** One array per channel, equally long. */
  channels: Float32Array[]
}

/** Samples of a block: one array per channel; one array, channel after channel; or audio. */
export type Samples = Float32Array[] | Float32Array | AudioLike

/** A format by its name, or with its settings. */
export type Format = T.FormatSettings['format'] | T.FormatSettings

/** Where to write, and in what format. */
export type OutputLike = PathLike | { path: PathLike; format?: Format | null }

/** How a call can be stopped. */
export interface CallOptions {
  /** Stops the call, which rejects with the signal's reason. Nothing is left of its outputs. */
  signal?: AbortSignal | undefined
}

export interface ProgressOption {
  /** Hears of progress some 20 times a second. `false` cancels the job; what it throws rejects the call. */
  onProgress?: ((progress: T.Progress) => unknown) | undefined
}

export interface TenantOption {
  /** On whose behalf the job runs: counts for the share of a tenant (`resources.tenant_share_percent`). */
  tenant?: string | undefined
}

/** What to hold an input against, and how it is read. */
export interface CheckOptions extends ReadCallOptions, ProgressOption, TenantOption {
  /** Names of delivery specifications. */
  specifications?: string | string[] | undefined
}

/** What to find, and how to read the input. */
export interface AnalyseOptions extends T.AnalyseOptions, CallOptions, ProgressOption, TenantOption {}

/** What is known of the input, and how to read it. */
export interface ClassifyOptions extends T.ClassifyOptions, CallOptions, ProgressOption, TenantOption {}
export interface RecommendOptions extends T.RecommendOptions, CallOptions, ProgressOption, TenantOption {}

/** How to read both inputs, and how to compare them. */
export interface CompareOptions extends T.CompareOptions, CallOptions, ProgressOption, TenantOption {}

/** Which peaks, and how to read the input. */
export interface PeakOptions extends T.PeakOptions, CallOptions, ProgressOption, TenantOption {}

/** The picture of a waveform, and how to read the input. */
export interface WaveformOptions extends T.WaveformOptions, CallOptions, ProgressOption, TenantOption {}

/** The picture of a spectrogram, and how to read the input. */
export interface SpectrogramOptions extends T.SpectrogramOptions, CallOptions, ProgressOption, TenantOption {}

/** What is on a page, and how to read the input. */
export interface PageOptions extends T.PageOptions, CallOptions, ProgressOption, TenantOption {}

/** As `PageOptions`, with the report of the run that made one of the other: its steps and its target are shown. */
export interface ComparisonPageOptions extends PageOptions {
  report?: T.Report | null | undefined
}

/** Features over time by name: one number per frame, or rows of bands. */
export type FeatureArrays = {
  [Name in keyof T.Series]: T.Series[Name] extends number[][] ? Float32Array[] : Float32Array
}

/** Options of a job: the fields of a recipe, a preset whose values hold where they say nothing, and those of the call. */
export interface ProcessOptions extends Omit<T.Request, 'input' | 'output' | 'outputs'>, CallOptions, ProgressOption, TenantOption {
  /** Files to write, instead of the argument. */
  outputs?: OutputLike[]
}

/** As `ProcessOptions`, for outputs in memory. */
export interface MemoryOptions extends Omit<ProcessOptions, 'outputs'> {
  /** Format of the one output. */
  format?: Format
  /** Formats of several outputs. */
  outputs?: { format: Format }[]
}

/** How an input is read. */
export interface ReadCallOptions extends T.ReadOptions, CallOptions {}

/** Metadata to write: what is left out is empty. */
export type MetadataLike = Partial<T.Metadata>

export interface EncodeOptions extends CallOptions {
  /** Default: by the extension of the path. */
  format?: Format
  metadata?: MetadataLike
}

/** Rate and channels of a live object: `layout`, or a number of `channels`. A `Spec` fits. */
export type StreamOptions = { rate_hz: number } & ({ layout: string | number } | { channels: number | Float32Array[] })

export type EncoderOptions = StreamOptions & {
  /** Default: by the extension of the path. */
  format?: Format
  metadata?: MetadataLike
  /** What to do with a file that exists. Default `replace`. */
  overwrite?: T.Overwrite
}

export interface SubscribeOptions extends CallOptions {
  /** What happens when the handler is slower than its events: the oldest go, or all but the newest of a topic and key. */
  class?: 'lossy' | 'latest'
  /** Where to start. Default `live`. `after` takes the `cursor` of a delivery. */
  start?: 'live' | 'oldest' | { sequence: number } | { after: string }
  /** Name in statistics. */
  name?: string
  /** Events that may wait, per priority. */
  lane_events?: number
}

/** An event of the engine, by topic. */
export type EngineEvent = {
  [Topic in keyof T.EventPayloads]: EventOf<Topic, T.EventPayloads[Topic]>
}[keyof T.EventPayloads]

interface EventOf<Topic extends string, Payload> {
  type: 'event'
  topic: Topic
  payload: Payload
  /** Number of the event, from 1. */
  sequence: number
  /** Milliseconds since 1970. */
  time_ms: number
  version: number
  priority: 'low' | 'normal' | 'high' | 'critical'
  key: string | null
  /** Comes from the history. */
  replay: boolean
  /** The place after this event, for `start: { after }`. */
  cursor: string
}

/** What a subscriber receives: an event, that `lost` events were dropped, or that the history does not reach back. */
export type Delivery =
  | EngineEvent
  | { type: 'lagged'; lost: number }
  | { type: 'gap'; from: number; to: number; restarted: boolean }

/** An error of the engine. */
export class PureSoundError extends Error {
  /** Stable name, such as `OUT_OF_RANGE`. */
  readonly code: T.ErrorCode
  /** Stable number. */
  readonly number: number
  readonly kind: T.ErrorKind
  /** Data of the error: `name`, `value`, `min`, `max`, `path`, `suggestion`, ... */
  readonly details: Readonly<Record<string, unknown>>
  toJSON(): { code: T.ErrorCode; number: number; kind: T.ErrorKind; message: string; details: Record<string, unknown> }
}

/** Audio in memory. */
export class Audio implements AudioLike {
  /** One array per channel; or one array, channel after channel, with `layout` said. Nothing is copied. */
  constructor(samples: Float32Array[], spec: { rate_hz: number; layout?: string | number })
  constructor(samples: Float32Array, spec: { rate_hz: number; layout: string | number })
  /** Audio of one array of interleaved samples. Copies. */
  static fromInterleaved(samples: Float32Array, spec: { rate_hz: number; layout: string | number }): Audio
  rate_hz: number
  layout: string
  channels: Float32Array[]
  /** Samples of one channel. */
  get frames(): number
  get duration_s(): number
  /** The samples frame by frame, in a new array. */
  toInterleaved(): Float32Array
}

/** An audio engine: presets, threads, events. Several know nothing of each other. */
export class Engine {
  /** Settings are those of a configuration file: `{ engine: { threads: 2 } }`. */
  constructor(settings?: T.Settings)
  /** Runs a job that writes files. They appear whole or not at all. */
  process(input: Input, output: OutputLike | OutputLike[] | null, options?: ProcessOptions): Promise<T.Report>
  /** As `process`; the outputs come back as bytes. */
  processToMemory(input: Input, options: MemoryOptions): Promise<{ report: T.Report; outputs: Buffer[] }>
  /** What `process` would do, and why. */
  plan(input: Input, output: OutputLike | OutputLike[] | null, options?: ProcessOptions): Promise<T.Plan>
  /** Container, codec, duration, tags. */
  probe(input: Input, options?: ReadCallOptions): Promise<T.MediaInfo>
  /** Tags, pictures and chapters. */
  tags(input: Input, options?: ReadCallOptions): Promise<T.Metadata>
  /** Loudness, true peak and levels of a whole input. */
  measure(input: Input, options?: ReadCallOptions & ProgressOption & TenantOption): Promise<T.Loudness>
  /** What an input is like: loudness, features, tempo, key, pitch, sound and silence. */
  analyse(input: Input, options?: AnalyseOptions): Promise<T.Analysis>
  /** As `analyse`, with all features over time. Frame `t` belongs to the time `t / analysis.features.frame_rate_hz`. */
  features(input: Input, options?: AnalyseOptions): Promise<{ analysis: T.Analysis; features: FeatureArrays }>
  /** Faults, and how delivery specifications such as `acx` come out; `all` is every one. */
  check(input: Input, options?: CheckOptions): Promise<T.CheckReport>
  /** Speech, music, speech over music, noise, silence: what an input is made of, and where somebody speaks. */
  classify(input: Input, options?: ClassifyOptions): Promise<T.Content>
  /** What to do with an input: preset, filters, channels, codec and bit rate, each with its reason; and all of it as a recipe. */
  recommend(input: Input, options?: RecommendOptions): Promise<T.Recommendation>
  /** How far an input lies off its reference: as a waveform, as a spectrum, and to the ear. Of two streams the second waits for the first. */
  compare(reference: Input, degraded: Input, options?: CompareOptions): Promise<T.Comparison>
  /** The smallest and largest sample of each stretch, for programs that draw waveforms themselves. */
  waveformPeaks(input: Input, options?: PeakOptions): Promise<T.Peaks>
  /** The waveform as the bytes of a PNG. */
  waveformPng(input: Input, options?: WaveformOptions): Promise<Buffer>
  /** A spectrogram as the bytes of a PNG. */
  spectrogramPng(input: Input, options?: SpectrogramOptions): Promise<Buffer>
  /** An HTML page of an input for people: pictures, loudness, faults, specifications, facts, tags; and the same as data. */
  analysisPage(input: Input, options?: PageOptions): Promise<T.AnalysisPage>
  /** An HTML page of a recording before and after it was processed: what is gone, what is new, and with a `report` every step. */
  comparisonPage(before: Input, after: Input, options?: ComparisonPageOptions): Promise<string>
  /** A whole input as samples. */
  decode(input: Input, options?: ReadCallOptions & ProgressOption & TenantOption): Promise<Audio>
  /** Opens an input for reading blocks. */
  open(input: Input, options?: ReadCallOptions): Promise<Decoder>
  /** Encodes audio to a file. No level is changed. */
  encode(audio: AudioLike, path: PathLike, options?: EncodeOptions | Format): Promise<T.Encoded>
  /** Encodes audio to bytes. */
  encodeToMemory(
    audio: AudioLike,
    options: (EncodeOptions & { format: Format }) | T.FormatSettings['format']
  ): Promise<{ encoded: T.Encoded; data: Buffer }>
  /** An encoder for blocks: to a path, or to memory without one. */
  encoder(path: PathLike | null, options: EncoderOptions): Promise<Encoder>
  presets(): T.Preset[]
  preset(name: string): T.Preset
  /** The recipe that a request asks for. */
  recipe(request?: T.Request): T.RecipeRecord
  /** The settings that hold. */
  config(): Required<T.Settings>
  /** All figures as OpenMetrics text, for a scraper: `application/openmetrics-text; version=1.0.0`. */
  metrics(): string
  /** What a probe answers, in the shape of `application/health+json`; without one everything. */
  health(probe?: 'live' | 'ready' | 'startup'): Promise<T.HealthAnswer>
  /** What jobs hold of the budgets (`resources` of the settings). */
  usage(): T.Usage
  /**
   * Hands log records of `level` and above to `callback` from now on, instead of the one before. Without a callback it sets how much is
   * told, also of jobs on their way; with `off` nobody listens any more. It does not keep the process alive.
   */
  log(level: T.LogLevel, callback?: (record: T.LogRecord) => void): void
  /** Calls `handler` with each delivery of a pattern of topics (`process.*`, `**`). */
  subscribe(pattern: string, handler: (delivery: Delivery) => void, options?: SubscribeOptions): Subscription
  /** Deliveries as an async iterator. */
  events(pattern?: string, options?: SubscribeOptions): EventStream
  /** Publishes an event of the host's own; gives its number. */
  publish(topic: string, payload?: unknown): number
}

/** A handler that hears of events. It does not keep the process alive. */
export class Subscription {
  private constructor()
  /** What it did so far; null when it was ended. */
  get stats(): Record<string, number | boolean> | null
  /** Ends it: the handler is not called again. */
  close(): void
  [Symbol.dispose](): void
}

/** Deliveries as an async iterator. It keeps the process alive while somebody waits for the next. */
export class EventStream implements AsyncIterableIterator<Delivery> {
  private constructor()
  next(): Promise<IteratorResult<Delivery, undefined>>
  return(): Promise<IteratorResult<Delivery, undefined>>
  /** What is there by now, without waiting. */
  poll(): Delivery[]
  [Symbol.asyncIterator](): this
  [Symbol.asyncDispose](): Promise<void>
}

/** Reads an input block by block. One call at a time. */
export class Decoder implements AsyncIterable<Audio> {
  private constructor()
  static open(input: Input, options?: ReadCallOptions & { engine?: Engine }): Promise<Decoder>
  get info(): T.StreamInfo
  /** Damage met so far. */
  get damage(): T.Damage
  /** The next block, at most so many frames (default 16,384); null at the end. */
  read(maxFrames?: number): Promise<Audio | null>
  /** As `read`, with the samples frame by frame. */
  readInterleaved(maxFrames?: number): Promise<Float32Array | null>
  /** As `read`, in this thread: for workers. */
  readSync(maxFrames?: number): Audio | null
  /** Continues at exactly this frame. */
  seek(frame: number): Promise<void>
  close(): void
  get closed(): boolean
  /** Blocks from here to the end; the decoder is closed when the loop is left. */
  blocks(maxFrames?: number): AsyncGenerator<Audio, void, undefined>
  [Symbol.asyncIterator](): AsyncGenerator<Audio, void, undefined>
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

/** Encodes blocks. One call at a time. Left before `finish`, nothing remains. */
export class Encoder {
  private constructor()
  static create(path: PathLike | null, options: EncoderOptions & { engine?: Engine }): Promise<Encoder>
  /** What is written, and why it differs from the blocks. */
  get negotiated(): T.Negotiated
  /** Encodes a block of any length. */
  write(samples: Samples): Promise<void>
  writeInterleaved(samples: Float32Array): Promise<void>
  /** Completes the file. `data` has the bytes of an encoder to memory. */
  finish(): Promise<T.Encoded & { data?: Buffer }>
  /** Gives up. Nothing remains. */
  abort(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

/** A filter: an object with its `type`, or text as on the command line (`highpass:cutoff_hz=80`). */
export type FilterLike = T.FilterSpec | string

/** Filters over samples in place, in the calling thread, for live audio. The output is behind the input by `latencyFrames`. */
export class Chain {
  constructor(filters: FilterLike[], options: StreamOptions & { engine?: Engine; max_frames?: number })
  /** Filters in place and gives the same samples back. Any number of frames. */
  process<S extends Samples>(samples: S): S
  /** As `process`, for one array with the samples frame by frame. */
  processInterleaved<S extends Float32Array>(samples: S): S
  /** Sets a parameter of the filter at this place in the list; it glides there. */
  setParameter(filter: number, name: string, value: number): void
  /** The value that a parameter has, or glides to. */
  parameter(filter: number, name: string): number
  /** How long parameters glide from now on: 0 to 1000 ms, default 20. */
  setGlideMs(glideMs: number): void
  /** Forgets the signal. */
  reset(): void
  /** What filters held back, after the last `process`. */
  finish(): Audio[]
  get latencyFrames(): number
  /** Frames of sound that may follow the end of the input. */
  get tailFrames(): number
  /** True when no filter is for files only. */
  get isRealtime(): boolean
  /** Samples that were NaN or infinite, and became silence. */
  get nonFiniteSamples(): number
  /** Lets it go now instead of when it is collected. */
  close(): void
  [Symbol.dispose](): void
}

/** Loudness (ITU-R BS.1770-5, EBU R 128), true peak and level of a stream. */
export class Meter {
  constructor(options: StreamOptions & { true_peak?: boolean; range?: boolean; dual_mono?: boolean })
  push(samples: Samples): void
  pushInterleaved(samples: Float32Array): void
  /** Loudness of the last 400 ms; `-Infinity` for silence. */
  get momentaryLufs(): number
  /** Loudness of the last 3 s. */
  get shortTermLufs(): number
  /** Loudness so far, gated. */
  get integratedLufs(): number
  get frames(): number
  /** All results so far. Silence and what was not asked for are null. */
  summary(): T.Loudness
  reset(): void
  close(): void
  [Symbol.dispose](): void
}

/** Another sample rate for a stream. */
export class Resampler {
  constructor(
    options: { in_rate_hz: number; out_rate_hz: number; quality?: T.Quality } & (
      | { layout: string | number }
      | { channels: number }
    )
  )
  /** Converts samples; gives what is ready, at first little. */
  process(samples: Samples): Audio
  /** As `process`, from and to samples frame by frame. */
  processInterleaved(samples: Float32Array): Float32Array
  /** The last frames. After it only `reset` makes sense. */
  finish(): Audio
  finishInterleaved(): Float32Array
  /** Most frames that one call with at most `frames` frames, or `finish`, can give. */
  maxOutputFrames(frames: number): number
  reset(): void
  close(): void
  [Symbol.dispose](): void
}

/** Bytes of a file in, blocks (`Audio`) out. Emits `info` with the `StreamInfo` before the first block. */
export class DecodeStream extends Duplex {
  constructor(options?: ReadCallOptions & { engine?: Engine; block_frames?: number })
}
/** Blocks in, blocks out, with latency compensated. */
export class ChainStream extends Transform {
  constructor(filters: FilterLike[], options?: CallOptions & { engine?: Engine })
}
/** Blocks in, bytes of a file out. Emits `encoded` with the `Encoded` at the end. */
export class EncodeStream extends Transform {
  constructor(options: CallOptions & { format: Format; metadata?: MetadataLike; engine?: Engine })
}
export function decodeStream(...args: ConstructorParameters<typeof DecodeStream>): DecodeStream
export function chainStream(...args: ConstructorParameters<typeof ChainStream>): ChainStream
export function encodeStream(...args: ConstructorParameters<typeof EncodeStream>): EncodeStream

/** Requests are those of `process`, with paths. */
export type JobRequest = Omit<T.Request, 'input' | 'output'> & { input: PathLike; output?: PathLike | PathLike[] }
export type SubmitOptions = Omit<T.Submission, 'requests'>

/**
 * Jobs in a file, in a PostgreSQL database (`postgres://...`, where this build has that), or without `database` in memory; and threads that
 * do them. Jobs in a file survive the program; other programs with the same file see them and may do them, such as `puresound worker`.
 */
export class Jobs implements AsyncIterable<T.Job> {
  constructor(database?: PathLike | null, options?: { engine?: Engine })
  /** Queues recordings to be processed, a job for each request: all of them, or none. */
  submit(requests: JobRequest | JobRequest[], options?: SubmitOptions): Promise<T.Submitted>
  get(id: string): Promise<T.Job>
  /** The steps of a job's life, the first one first. */
  history(id: string): Promise<T.HistoryEntry[]>
  /** Jobs in the order of their making, a page at a time. */
  list(filter?: T.JobFilter): Promise<T.Job[]>
  batch(id: string): Promise<T.Batch>
  /** Stops a job: at once when it waits; a running one is asked to, and ends within a block of audio. */
  cancel(id: string, why?: string): Promise<'cancelled' | 'asked' | 'over'>
  /** Makes a dead or cancelled job wait again, with counters at 0. */
  retry(id: string): Promise<void>
  /** `scope`: `all`, `queue:NAME`, `kind:NAME` or `tenant:NAME`. */
  setGate(scope: string, gate: 'open' | 'paused' | 'draining'): Promise<void>
  stats(): Promise<T.Stats>
  /** Starts threads that do jobs, until `stop` or `close`. States and progress come as events of the engine. */
  start(options?: T.WorkOptions): void
  /** Takes no more jobs, and waits for those that run; how many were handed back. */
  stop(options?: { patience_s?: number }): Promise<number>
  /** Waits until these jobs are over; without any, until nothing is left to do. False when the time was over before. */
  wait(ids?: string | string[] | null, options?: { timeout_s?: number; signal?: AbortSignal }): Promise<boolean>
  /** Stops its threads, which hand back what they have, and lets go of the store. */
  close(): Promise<void>
  [Symbol.asyncIterator](): AsyncIterator<T.Job>
}

/** The engine that the functions below use; made at their first call. */
export function defaultEngine(): Engine
export const process: Engine['process']
export const processToMemory: Engine['processToMemory']
export const plan: Engine['plan']
export const probe: Engine['probe']
export const tags: Engine['tags']
export const measure: Engine['measure']
export const analyse: Engine['analyse']
export const features: Engine['features']
export const check: Engine['check']
export const classify: Engine['classify']
export const recommend: Engine['recommend']
export const compare: Engine['compare']
export const waveformPeaks: Engine['waveformPeaks']
export const waveformPng: Engine['waveformPng']
export const spectrogramPng: Engine['spectrogramPng']
export const analysisPage: Engine['analysisPage']
export const comparisonPage: Engine['comparisonPage']
export const decode: Engine['decode']
export const open: Engine['open']
export const encode: Engine['encode']
export const encodeToMemory: Engine['encodeToMemory']
export const presets: Engine['presets']
export const preset: Engine['preset']
export const recipe: Engine['recipe']
/** All filters with their parameters, or one of them. */
export function filters(): T.FilterInfo[]
export function filters(name: string): T.FilterInfo
/** JSON Schemas of all options and records by name, or one of them. */
export function schema(): Record<string, object>
export function schema(name: string): object
/** All errors. */
export function errorTable(): { number: number; code: T.ErrorCode; kind: T.ErrorKind }[]
/** Version of the library. */
export function version(): string
