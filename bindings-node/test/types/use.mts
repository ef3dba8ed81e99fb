// Compiled with tsc, not run: the types say what the package does.

import pureSound, {
  Audio,
  Chain,
  Decoder,
  Encoder,
  Engine,
  Meter,
  PureSoundError,
  Resampler,
  analysisPage,
  chainStream,
  classify,
  compare,
  comparisonPage,
  decode,
  decodeStream,
  encodeStream,
  process as processAudio,
  recommend,
  spectrogramPng,
  waveformPeaks,
  waveformPng,
  type Comparison,
  type ComparisonPageOptions,
  type Content,
  type Delivery,
  type FilterSpec,
  type HealthAnswer,
  type LogRecord,
  type Loudness,
  type PageOptions,
  type Peaks,
  type Recommendation,
  type Report,
  type Usage,
} from 'pure-sound'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

const report: Report = await processAudio('a.mp3', 'a.opus', {
  preset: 'podcast',
  filters: ['highpass:cutoff_hz=80', { type: 'gain', gain_db: 3 }],
  level: { measure: 'loudness', integrated_lufs: -16, true_peak_dbtp: -1 },
  signal: AbortSignal.timeout(1000),
  onProgress: ({ fraction, stage }) => fraction < 1 && stage !== 'publish',
})
const loudness: Loudness | null | undefined = report.outputs[0]?.after
const level: number | null = loudness?.integrated_lufs ?? null
void level

const { class: kind, segments }: Content = await classify('a.mp3', { content: { silence_dbfs: -50 }, tenant: 'a' })
segments.filter((segment) => segment.class === kind && segment.confidence > 0.5)

const advice: Recommendation = await recommend('a.mp3', { content: 'speech', read: { strict: true }, tenant: 'a' })
advice.filters.map(({ filter, text, evidence }) => [filter.type, text.length, evidence.value.toFixed()])
await processAudio('a.mp3', 'a.opus', advice.recipe)
const compared: Comparison = await compare('a.mp3', createReadStream('b.mp3'), {
  compare: { match_level: true, max_offset_s: 2 },
  signal: AbortSignal.timeout(1000),
  onProgress: ({ fraction }) => fraction < 1,
})
const noise: number | null | undefined = compared.differences.perceptual?.nmr_db
void noise
const peaks: Peaks = await waveformPeaks('a.mp3', { peaks: { samples_per_pixel: 512, mono: true } })
peaks.data.map((sample) => sample / 32_768)
const picture: Buffer = await waveformPng('a.mp3', { width: 400, amplitude: 'decibels', colours: { wave: '#102030' } })
picture.readUInt32BE(16)
;(await spectrogramPng('a.mp3', { scale: 'mel', colours: 'viridis', max_hz: null })).subarray(8)
const shown: PageOptions = { title: 'A talk', specifications: ['acx'], scale: 'log' }
const { html, analysis, check } = await analysisPage('a.mp3', shown)
void [html.length, analysis.loudness.integrated_lufs, check.passed]
const both: ComparisonPageOptions = { ...shown, report }
const page: string = await comparisonPage('a.mp3', 'a.opus', both)
void page
// @ts-expect-error one input only
await compare('a.mp3')
// @ts-expect-error a parameter among the options
await compare('a.mp3', 'b.mp3', { match_level: true })
// @ts-expect-error not a map of colours
await spectrogramPng('a.mp3', { colours: 'rainbow' })
// @ts-expect-error neither speech nor music
await recommend('a.mp3', { content: 'noise' })
// @ts-expect-error a report is of two recordings
await analysisPage('a.mp3', { report })

// @ts-expect-error a filter that does not exist
const wrong: FilterSpec = { type: 'gian' }
void wrong
// @ts-expect-error a parameter of another type
const typed: FilterSpec = { type: 'highpass', cutoff_hz: 'low' }
void typed
// @ts-expect-error a field that no recipe has
await processAudio('a.mp3', 'a.opus', { presett: 'podcast' })
// @ts-expect-error not an input
await decode(7)
// @ts-expect-error rate missing
new Chain(['gain'], { channels: 2 })
// @ts-expect-error neither layout nor channels
new Meter({ rate_hz: 48_000 })

const audio: Audio = await decode(new URL('file:///a.wav'), { strict: true, limits: { max_seconds: 60 } })
await pureSound.encode(audio, 'b.flac', { format: { format: 'flac', level: 8 } })
const { data } = await pureSound.encodeToMemory({ rate_hz: 8000, channels: [new Float32Array(8)] }, 'wav')
data.readUInt32LE(0)

const chain = new Chain([{ type: 'limiter' }], audio)
const same: Float32Array[] = chain.process(audio.channels)
chain.processInterleaved(audio.toInterleaved())
void same
const rest: Audio[] = chain.finish()
void rest
new Meter(audio).push(audio)
new Resampler({ in_rate_hz: 44_100, out_rate_hz: 48_000, channels: 2, quality: 'best' }).process(audio).frames.toFixed()

{
  await using decoder = await Decoder.open('a.mp3')
  for await (const block of decoder.blocks(4096)) block.channels[0]?.fill(0)
}
const encoder = await Encoder.create(null, { rate_hz: 48_000, layout: 'stereo', format: 'opus' })
const bytes: Buffer | undefined = (await encoder.finish()).data
void bytes

await pipeline(createReadStream('a.mp3'), decodeStream(), chainStream(['limiter']), encodeStream({ format: 'opus' }))

const engine = new Engine({ engine: { threads: 2 } })
engine.subscribe('process.*', (delivery: Delivery) => {
  if (delivery.type === 'lagged') return delivery.lost.toFixed()
  if (delivery.type === 'event' && delivery.topic === 'process.finished') delivery.payload.outcome satisfies string
  return
})
engine.log('info', ({ level, message, fields }) => [level satisfies LogRecord['level'], message.length, fields['run']])
engine.log('off')
// @ts-expect-error not a level
engine.log('loud')
const health: HealthAnswer = await engine.health('ready')
const seen: number | null | undefined = health.checks?.['engine:uptime']?.[0]?.observedValue
void seen
const usage: Usage = engine.usage()
engine.metrics().includes(usage.holders.toFixed())
await engine.measure('a.mp3', { tenant: 'a' })
// @ts-expect-error probing is not counted for a tenant
await engine.probe('a.mp3', { tenant: 'a' })

for await (const delivery of engine.events('**', { start: 'oldest' })) void delivery.type

try {
  engine.preset('x')
} catch (error) {
  if (error instanceof PureSoundError && error.code === 'UNKNOWN_NAME') error.details['suggestion'] satisfies unknown
  // @ts-expect-error not a code
  if (error instanceof PureSoundError && error.code === 'UNKNOWN') throw error
}
