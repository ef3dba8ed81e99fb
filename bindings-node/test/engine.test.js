'use strict'

const assert = require('node:assert/strict')
const { createReadStream, existsSync, openAsBlob, readFileSync, readdirSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { Readable } = require('node:stream')
const test = require('node:test')
const { pathToFileURL } = require('node:url')
const ps = require('..')
const { join, media, read, sha256, signal, temporary } = require('./helpers.js')

const speech = media('speech.flac')

test('a preset over a recording, with a report that proves it', async () => {
  const target = path.join(temporary(), 'talk.opus')
  const heard = []
  const report = await ps.process(speech, target, { preset: 'podcast', onProgress: (p) => heard.push(p) })
  assert.equal(report.preset, 'podcast')
  assert.equal(report.outputs[0].target_met, true)
  assert(Math.abs(report.outputs[0].after.integrated_lufs + 16) <= 0.5)
  assert.equal((await ps.probe(target)).stream.codec, 'opus')
  assert(heard.length >= 1)
  assert(heard.every((p, i) => i === 0 || p.fraction >= heard[i - 1].fraction))
  assert.equal(heard.at(-1).fraction, 1)
})

test('every kind of input gives the same result', async () => {
  const bytes = read('speech.flac')
  const view = new Uint8Array(bytes.length + 7)
  view.set(bytes, 7)
  const inputs = {
    path: speech,
    url: pathToFileURL(speech),
    buffer: bytes,
    uint8array: view.subarray(7),
    dataview: new DataView(view.buffer, 7),
    arraybuffer: view.buffer.slice(7),
    readable: createReadStream(speech),
    'web stream': Readable.toWeb(createReadStream(speech)),
    generator: (async function* () {
      for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000)
    })(),
    blob: await openAsBlob(speech),
    audio: await ps.decode(speech),
  }
  const hashes = new Map()
  for (const [name, input] of Object.entries(inputs)) hashes.set(name, sha256(await ps.decode(input)))
  assert.equal(new Set(hashes.values()).size, 1, JSON.stringify([...hashes]))
})

test('outputs: several files, URLs, formats with settings, memory', async () => {
  const folder = temporary()
  const report = await ps.process(speech, [
    path.join(folder, 'a.wav'),
    pathToFileURL(path.join(folder, 'b.mp3')),
    { path: path.join(folder, 'c.bin'), format: 'flac' },
  ])
  assert.equal(report.outputs.length, 3)
  assert.equal((await ps.probe(path.join(folder, 'c.bin'))).stream.container, 'flac')
  const { outputs } = await ps.processToMemory(speech, { outputs: [{ format: 'wav' }, { format: { format: 'flac', level: 2 } }] })
  assert.equal(sha256(await ps.decode(outputs[0])), sha256(await ps.decode(path.join(folder, 'a.wav'))))
  assert.equal((await ps.probe(outputs[1])).stream.codec, 'flac')
  const one = await ps.processToMemory(speech, { format: 'wav' })
  assert(Buffer.isBuffer(one.outputs[0]))
  assert.equal(sha256(one.outputs[0]), sha256(outputs[0]))
})

test('an output over the input is refused, and one that exists when asked', async () => {
  const copy = path.join(temporary(), 'a.flac')
  writeFileSync(copy, read('speech.flac'))
  await assert.rejects(ps.process(copy, copy), (e) => e.code === 'CONFLICT')
  await assert.rejects(ps.process(speech, copy, { overwrite: 'refuse' }), (e) => e.code === 'CONFLICT')
  assert.deepEqual(readFileSync(copy), read('speech.flac'))
})

test('plan, probe, tags, measure, presets, recipe, filters and schema', async () => {
  const plan = await ps.plan(speech, 'a.mp3', { preset: 'podcast', rate_hz: 44_100 })
  assert.equal(plan.outputs[0].encoder.spec.rate_hz, 44_100)
  assert(plan.steps.length > 2)
  const info = await ps.probe(speech)
  assert.equal(info.stream.container, 'flac')
  assert.deepEqual(info.metadata, await ps.tags(speech))
  assert((await ps.measure(speech)).integrated_lufs < -10)
  assert(ps.presets().some((p) => p.name === 'podcast'))
  assert.equal(ps.preset('podcast').recipe.level.measure, 'loudness')
  assert.deepEqual(ps.recipe({ preset: 'podcast' }).level, ps.preset('podcast').recipe.level)
  assert.throws(() => ps.recipe({ filters: ['highpas'] }), (e) => e.code === 'UNKNOWN_NAME')
  assert(ps.filters().length > 80)
  assert.equal(ps.schema().report.title, 'Report')
})

test('encode and decode: what is lossless comes back', async () => {
  const target = path.join(temporary(), 'noise.wav')
  const audio = signal({ kind: 'noise', frames: 10_000, channels: 6, gain: 0.5 })
  const encoded = await ps.encode(audio, target, { format: { format: 'wav', sample: 'f32' }, metadata: { fields: [{ key: 'title', values: ['Noise'] }] } })
  assert.equal(encoded.frames, 10_000)
  const back = await ps.decode(target)
  assert.equal(sha256(back), sha256(audio))
  assert.equal(back.layout, '5.1')
  assert.equal(back.frames, 10_000)
  assert.equal((await ps.tags(target)).fields.find((f) => f.key === 'title').values[0], 'Noise')
  assert.equal(sha256(ps.Audio.fromInterleaved(back.toInterleaved(), back)), sha256(audio))
})

test('damaged input is decoded around and told; strict refuses it', async () => {
  const bytes = Buffer.from(read('music.mp3'))
  bytes.fill(0x55, 100_000, 103_000)
  const decoder = await ps.open(bytes)
  for await (const block of decoder.blocks()) assert(block.frames > 0)
  const { report } = await ps.processToMemory(bytes, { format: 'wav' })
  assert(report.damage.event_count > 0)
  await assert.rejects(ps.decode(bytes, { strict: true }), (e) => e.code === 'MALFORMED')
  await assert.rejects(ps.decode(Buffer.from('no audio here')), (e) => e.code === 'NOT_AUDIO')
  await assert.rejects(ps.decode(Buffer.alloc(0)), (e) => e.code === 'EMPTY')
  await assert.rejects(ps.decode(speech, { limits: { max_seconds: 1 } }), (e) => {
    return e.code === 'LIMIT_EXCEEDED' && e.details.limit === 'max_seconds'
  })
})

test('abort: the reason of the signal, nothing left, also before the start and by a timeout', async () => {
  const folder = temporary()
  const target = path.join(folder, 'a.opus')
  const long = signal({ kind: 'noise', frames: 48_000 * 120, channels: 2, gain: 0.25 })
  const reason = new Error('the user left')

  const controller = new AbortController()
  const running = ps.process(long, target, { filters: ['denoise_spectral'], signal: controller.signal, onProgress: () => controller.abort(reason) })
  await assert.rejects(running, (e) => e === reason)

  await assert.rejects(ps.process(long, target, { signal: AbortSignal.abort(reason) }), (e) => e === reason)
  await assert.rejects(ps.process(long, target, { filters: ['denoise_spectral'], signal: AbortSignal.timeout(150) }), { name: 'TimeoutError' })
  await assert.rejects(ps.decode(Readable.from(stuck()), { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
  await assert.rejects(ps.encode(long, target, { signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' })
  assert.deepEqual(readdirSync(folder), [])

  // One signal for two calls, and a signal that comes too late for one of them.
  const both = new AbortController()
  const done = await ps.measure(speech, { signal: both.signal })
  const two = [0, 1].map(() => ps.process(long, null, { outputs: [path.join(folder, 'x.wav')], filters: ['denoise_spectral'], signal: both.signal }))
  both.abort()
  for (const settled of await Promise.allSettled(two)) assert.equal(settled.reason.name, 'AbortError')
  assert(done.frames > 0)
  assert.deepEqual(readdirSync(folder), [])
})

/** A stream that never ends. */
async function* stuck() {
  yield Buffer.from('fLaC')
  await new Promise(() => setTimeout(() => {}, 1e6).unref())
}

test('progress can cancel, and what it throws is told', async () => {
  const target = path.join(temporary(), 'a.opus')
  await assert.rejects(ps.process(speech, target, { preset: 'podcast', onProgress: () => false }), (e) => e.code === 'CANCELLED')
  const mine = new Error('mine')
  const throws = () => {
    throw mine
  }
  await assert.rejects(ps.process(speech, target, { preset: 'podcast', onProgress: throws }), (e) => e === mine)
  assert(!existsSync(target))
})

test('a stream that breaks is told as it broke, and one that is not wanted is closed', async () => {
  const broken = new Error('connection reset')
  const source = Readable.from(
    (async function* () {
      yield read('speech.flac').subarray(0, 50_000)
      throw broken
    })()
  )
  await assert.rejects(ps.decode(source), (e) => e === broken)
  const refused = createReadStream(speech)
  await assert.rejects(ps.decode(refused, { limits: { max_bytes: 1000 } }), (e) => e.code === 'LIMIT_EXCEEDED')
  assert(refused.destroyed)
  await assert.rejects(ps.decode(Readable.from([{}])), (e) => e.code === 'INVALID_VALUE')
})

test('a stream that is longer than what may wait arrives whole', async () => {
  const audio = signal({ kind: 'noise', frames: 1_500_000, channels: 2, gain: 0.25 })
  const { data } = await ps.encodeToMemory(audio, { format: { format: 'wav', sample: 'f32' } })
  assert(data.length > 11 << 20)
  const chunks = (function* () {
    for (let at = 0; at < data.length; at += 300_000) yield data.subarray(at, at + 300_000)
  })()
  assert.equal(sha256(await ps.decode(Readable.from(chunks))), sha256(audio))
  const blocks = []
  for await (const block of Readable.from([data]).pipe(ps.decodeStream())) blocks.push(block)
  assert.equal(sha256(join(blocks)), sha256(audio))
})

test('many jobs at once all finish, those fed by streams too', async () => {
  const jobs = Array.from({ length: 24 }, (_, i) => ps.measure(i % 2 === 0 ? speech : createReadStream(speech)))
  const results = await Promise.all(jobs)
  assert(results.every((r) => r.integrated_lufs === results[0].integrated_lufs))
})

test('engines have settings of their own', async () => {
  const engine = new ps.Engine({ engine: { threads: 1 }, limits: { max_seconds: 2 } })
  await assert.rejects(engine.decode(speech), (e) => e.code === 'LIMIT_EXCEEDED')
  assert.equal((await ps.decode(speech)).rate_hz, (await ps.probe(speech)).stream.spec.rate_hz)
})
