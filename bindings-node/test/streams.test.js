'use strict'

const assert = require('node:assert/strict')
const { createReadStream, createWriteStream, readFileSync } = require('node:fs')
const path = require('node:path')
const { PassThrough, Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const test = require('node:test')
const ps = require('..')
const { join, media, sha256, signal, temporary } = require('./helpers.js')

const blocks = (audio, size) =>
  Readable.from(
    (function* () {
      for (let at = 0; at < audio.frames; at += size) {
        yield new ps.Audio(audio.channels.map((c) => c.subarray(at, at + size)), audio)
      }
    })()
  )

test('decode, filter and encode by streams as by files', async () => {
  const target = path.join(temporary(), 'a.flac')
  const filters = ['highpass:cutoff_hz=100', 'limiter']
  let info, encoded
  await pipeline(
    createReadStream(media('speech.flac')),
    ps.decodeStream({ block_frames: 3000 }).on('info', (i) => (info = i)),
    ps.chainStream(filters),
    ps.encodeStream({ format: { format: 'flac', bits: 24 } }).on('encoded', (e) => (encoded = e)),
    createWriteStream(target)
  )
  assert.equal(info.codec, 'flac')
  assert.equal(encoded.bytes, readFileSync(target).length)
  const file = path.join(temporary(), 'b.flac')
  await ps.process(media('speech.flac'), { path: file, format: { format: 'flac', bits: 24 } }, { filters })
  assert.equal(sha256(await ps.decode(target)), sha256(await ps.decode(file)))
})

test('a decoder is a source of a pipeline', async () => {
  const chunks = []
  const sink = new PassThrough()
  sink.on('data', (chunk) => chunks.push(chunk))
  await pipeline(await ps.open(media('music.mp3')), ps.encodeStream({ format: 'opus' }), sink)
  const opus = await ps.decode(Buffer.concat(chunks))
  const source = await ps.measure(media('music.mp3'))
  assert(Math.abs((await ps.measure(opus)).integrated_lufs - source.integrated_lufs) < 0.5)
})

test('Opus leaves the encoder while it is made, in the bytes of a file', async () => {
  // The encoder works on 10 s at a time, so that several threads can.
  const audio = signal({ kind: 'noise', frames: 48_000 * 35, channels: 2, gain: 0.125 })
  const encoder = ps.encodeStream({ format: 'opus' })
  const chunks = []
  let early = 0
  encoder.on('data', (chunk) => chunks.push(chunk))
  encoder.on('encoded', () => (early = chunks.length))
  await pipeline(blocks(audio, 4800), encoder)
  assert(early >= 1, `${early} chunks before the end`)
  assert.equal(sha256(Buffer.concat(chunks)), sha256((await ps.encodeToMemory(audio, 'opus')).data))
})

test('a chain that changes rate and length works on streams', async () => {
  const audio = signal({ kind: 'noise', frames: 44_100, channels: 1, rate_hz: 44_100, gain: 0.25 })
  const out = await blocks(audio, 5000).pipe(ps.chainStream(['resample:rate_hz=48000'])).toArray()
  assert.equal(join(out).frames, 48_000)
  assert(out.every((block) => block.rate_hz === 48_000))
})

test('errors of each part end the pipeline', async () => {
  const sink = () => new PassThrough().resume()
  const fails = (pattern, ...parts) => assert.rejects(pipeline(...parts, sink()), pattern)
  await fails({ code: 'NOT_AUDIO' }, Readable.from([Buffer.from('no audio here, only text')]), ps.decodeStream(), ps.encodeStream({ format: 'wav' }))
  const audio = signal({ kind: 'silence', frames: 1000 })
  await fails({ code: 'UNKNOWN_NAME' }, blocks(audio, 100), ps.chainStream(['gian']), ps.encodeStream({ format: 'wav' }))
  await fails({ code: 'INVALID_VALUE' }, Readable.from([1]), ps.encodeStream({ format: 'wav' }))
  await fails({ code: 'EMPTY' }, Readable.from([]), ps.encodeStream({ format: 'wav' }))
  const other = signal({ kind: 'silence', frames: 100, rate_hz: 8000 })
  await fails({ code: 'CONFLICT' }, Readable.from([audio, other]), ps.encodeStream({ format: 'wav' }))
  await fails({ name: 'AbortError' }, createReadStream(media('music.mp3')), ps.decodeStream({ signal: AbortSignal.timeout(1) }), ps.encodeStream({ format: 'flac' }))
  assert.throws(() => ps.encodeStream({}), { code: 'INVALID_VALUE' })
})

test('a reader that stops early ends the decoder', async () => {
  const decoding = createReadStream(media('music.mp3')).pipe(ps.decodeStream({ block_frames: 100 }))
  for await (const block of decoding) {
    assert.equal(block.frames, 100)
    break
  }
  assert(decoding.destroyed)
})

/** Blocks without end, and how many were taken. */
function endless(block) {
  const source = { taken: 0 }
  source.stream = Readable.from(
    (function* () {
      for (;;) {
        source.taken += 1
        yield block
      }
    })(),
    { highWaterMark: 1 }
  )
  return source
}

/** Waits until a count stays the same for 100 ms; gives it. */
async function settled(count) {
  for (let before = -1; before !== count(); ) {
    before = count()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return count()
}

test('backpressure: a reader that does not read stops each part, and the source before it', async () => {
  const block = signal({ kind: 'noise', frames: 4800, gain: 0.25 })
  // Four blocks wait on each side of a stream, one is under way, one in the source.
  const chained = endless(block)
  const chain = chained.stream.pipe(ps.chainStream(['gain:gain_db=-6']))
  assert((await settled(() => chained.taken)) <= 16, `${chained.taken} blocks`)
  chain.destroy()
  chained.stream.destroy()

  // Opus comes in parts of tens of seconds, of which the encoder has a few under way. The first is more than may wait.
  const encoded = endless(block)
  const engine = new ps.Engine({ engine: { threads: 1 } })
  const encoder = encoded.stream.pipe(ps.encodeStream({ format: 'opus', engine }))
  await new Promise((resolve) => encoder.once('readable', resolve))
  assert((await settled(() => encoded.taken)) <= 1000, `${encoded.taken} blocks of 0.1 s`)
  encoder.destroy()
  encoded.stream.destroy()

  const decoder = createReadStream(media('music.mp3')).pipe(ps.decodeStream({ block_frames: 100 }))
  await new Promise((resolve) => decoder.once('readable', resolve))
  assert((await settled(() => decoder.readableLength)) <= 8)
  let frames = 0
  for await (const { frames: more } of decoder) frames += more
  assert.equal(frames, (await ps.decode(media('music.mp3'))).frames)
})

test('bytes that nobody decodes yet wait in their stream', async () => {
  // The source of a call that has not begun to read: 1 MiB may wait.
  const native = require('../lib/addon.js')
  const source = native.Source.feed()
  assert.equal(source.push(Buffer.alloc(1 << 20)), true)
  const more = source.push(Buffer.alloc(1))
  assert(more instanceof Promise)
  assert.equal(await Promise.race([more, new Promise((resolve) => setTimeout(resolve, 50, 'waits'))]), 'waits')
  source.end('not wanted')
})
