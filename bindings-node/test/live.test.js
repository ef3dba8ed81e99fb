'use strict'

const assert = require('node:assert/strict')
const { existsSync, readdirSync } = require('node:fs')
const path = require('node:path')
const test = require('node:test')
const ps = require('..')
const { join, media, sha256, signal, temporary } = require('./helpers.js')

const GAIN = [{ type: 'gain', gain_db: -6.0205999132796239 }]
const stereo = { rate_hz: 48_000, layout: 'stereo' }

test('a chain filters lists of channels, one array and interleaved samples alike', () => {
  const make = () => new ps.Chain(['highpass:cutoff_hz=200', ...GAIN], stereo)
  const audio = signal({ kind: 'noise', frames: 5000, channels: 2, gain: 0.25 })
  const list = audio.channels.map((channel) => channel.slice())
  assert.equal(make().process(list), list)

  const whole = new Float32Array(10_000)
  audio.channels.forEach((channel, c) => whole.set(channel, c * 5000))
  make().process(whole)
  const woven = make().processInterleaved(audio.toInterleaved())

  assert.deepEqual(whole.subarray(5000), list[1])
  assert.deepEqual(woven, new ps.Audio(list, stereo).toInterleaved())
  assert.notDeepEqual(list[0], audio.channels[0])
})

test('any block size gives the same bits', () => {
  const filters = ['compressor', { type: 'peak_eq', frequency_hz: 1000, gain_db: 6 }]
  const audio = signal({ kind: 'noise', frames: 20_000, channels: 2, gain: 0.5 })
  const hashes = [1, 64, 1000, 20_000].map((size) => {
    const chain = new ps.Chain(filters, stereo)
    const copy = audio.channels.map((channel) => channel.slice())
    for (let at = 0; at < 20_000; at += size) chain.process(copy.map((channel) => channel.subarray(at, at + size)))
    return sha256(new ps.Audio(copy, stereo))
  })
  assert.equal(new Set(hashes).size, 1)
})

test('samples that do not fit are refused and nothing is changed', () => {
  const chain = new ps.Chain(GAIN, stereo)
  const refused = (samples, pattern) =>
    assert.throws(() => chain.process(samples), (e) => e.code === 'INVALID_VALUE' && pattern.test(e.message))
  refused([new Float32Array(4)], /1 channels/)
  refused([new Float32Array(4), new Float32Array(5)], /equally long/)
  refused(new Float32Array(5), /5 samples/)
  const shared = new Float32Array(8).fill(1)
  refused([shared.subarray(0, 5), shared.subarray(3, 8)], /share memory/)
  assert(shared.every((x) => x === 1))
  assert.throws(() => chain.process([new Float64Array(4), new Float64Array(4)]), /Float32Array/)
  assert.throws(() => chain.process('abc'), /Float32Array/)
  chain.process([new Float32Array(0), new Float32Array(0)])
  assert.throws(() => new ps.Chain(['resample:rate_hz=24000'], stereo).process([new Float32Array(4800), new Float32Array(4800)]), (e) => {
    return e.code === 'CONFLICT' && /ChainStream/.test(e.message)
  })
})

test('parameters glide, are read back and are held to their ranges', () => {
  const chain = new ps.Chain([{ type: 'gain', gain_db: 0 }], { rate_hz: 48_000, channels: 1 })
  const ones = () => [new Float32Array(4800).fill(0.5)]
  assert.equal(chain.process(ones())[0][4799], 0.5)
  chain.setParameter(0, 'gain_db', -120)
  assert.equal(chain.parameter(0, 'gain_db'), -120)
  const [gliding] = chain.process(ones())
  assert(gliding[0] > 0.1 && gliding[4799] < 1e-5)
  assert.throws(() => chain.setParameter(0, 'gain_db', 1e6), (e) => e.code === 'OUT_OF_RANGE')
  assert.throws(() => chain.setParameter(1, 'gain_db', 0), (e) => e.code === 'OUT_OF_RANGE')
  assert.throws(() => chain.setParameter(0, 'gain_dB', 0), (e) => e.details.suggestion === 'gain_db')
  chain.setGlideMs(0)
  chain.setParameter(0, 'gain_db', 0)
  assert.equal(chain.process(ones())[0][0], 0.5)
})

test('latency, tail and NaN are told; reset is as new', () => {
  const chain = new ps.Chain(['limiter'], { rate_hz: 48_000, channels: 1 })
  assert(chain.latencyFrames > 0 && chain.isRealtime)
  const impulse = () => signal({ kind: 'impulse', frames: 4800, gain: 0.5 }).channels
  const [first] = chain.process(impulse())
  assert.equal(first.findIndex((x) => x > 0.4), chain.latencyFrames)
  chain.reset()
  assert.deepEqual(chain.process(impulse())[0], first)
  chain.process([Float32Array.of(NaN, Infinity, 1)])
  assert.equal(chain.nonFiniteSamples, 2)
  assert.deepEqual(chain.finish(), [])
  assert(new ps.Chain(['reverb'], stereo).tailFrames > 4800)
})

test('a meter agrees with a measurement of the file', async () => {
  const audio = await ps.decode(media('music.mp3'))
  const file = await ps.measure(media('music.mp3'))
  const meter = new ps.Meter(audio)
  for (let at = 0; at < audio.frames; at += 777) meter.push(audio.channels.map((c) => c.subarray(at, at + 777)))
  assert.deepEqual(meter.summary(), file)
  assert.equal(meter.integratedLufs, file.integrated_lufs)
  assert.equal(meter.frames, audio.frames)
  assert(meter.momentaryLufs < 0 && meter.shortTermLufs < 0)
  const woven = new ps.Meter({ ...stereo, rate_hz: audio.rate_hz, layout: audio.layout })
  woven.pushInterleaved(audio.toInterleaved())
  assert.deepEqual(woven.summary(), file)
  meter.reset()
  assert.equal(meter.momentaryLufs, -Infinity)
  assert.equal(meter.summary().integrated_lufs, null)
})

test('a resampler gives the same frames for any blocks, as many as the rates say', () => {
  const audio = signal({ kind: 'noise', frames: 44_100, channels: 2, rate_hz: 44_100, gain: 0.5 })
  const convert = (size) => {
    const resampler = new ps.Resampler({ in_rate_hz: 44_100, out_rate_hz: 48_000, channels: 2, quality: 'best' })
    const blocks = []
    for (let at = 0; at < 44_100; at += size) {
      blocks.push(resampler.process(audio.channels.map((c) => c.subarray(at, at + size))))
    }
    return join([...blocks, resampler.finish()])
  }
  const whole = convert(44_100)
  assert.equal(whole.frames, 48_000)
  assert.equal(whole.rate_hz, 48_000)
  assert.equal(sha256(convert(441)), sha256(whole))
  assert.throws(() => new ps.Resampler({ in_rate_hz: 1, out_rate_hz: 48_000, channels: 1 }), (e) => e.code === 'OUT_OF_RANGE')
})

test('a decoder gives blocks, seeks to the frame and iterates', async () => {
  const whole = await ps.decode(media('speech.flac'))
  const decoder = await ps.Decoder.open(media('speech.flac'))
  assert.equal(decoder.info.codec, 'flac')
  assert.equal(decoder.damage.event_count, 0)
  const blocks = []
  for await (const block of decoder.blocks(1000)) {
    assert(block.frames <= 1000)
    blocks.push(block)
  }
  assert.equal(sha256(join(blocks)), sha256(whole))
  assert(decoder.closed)
  await assert.rejects(decoder.read(), (e) => e.code === 'CLOSED')

  const other = await ps.open(media('speech.flac'))
  await other.seek(12_345)
  const block = other.readSync(100)
  assert.deepEqual(block.channels[0], whole.channels[0].slice(12_345, 12_345 + block.frames))
  await other.seek(whole.frames + 10)
  assert.equal(await other.read(), null)
  await assert.rejects(other.read(0), (e) => e.code === 'OUT_OF_RANGE')
  other.close()
  other.close()
})

test('two calls at once are refused, and closing during a call is safe', async () => {
  const decoder = await ps.open(media('music.mp3'))
  // The first decodes all of the file, so that it is not over when the second is called.
  const [first, second] = await Promise.allSettled([decoder.read(1 << 24), decoder.read()])
  assert.equal(first.status, 'fulfilled')
  assert.equal(second.reason?.code, 'BUSY')
  await decoder.seek(0)
  const last = decoder.read(1 << 24)
  decoder.close()
  assert((await last).frames > 0)
  assert.throws(() => decoder.info, (e) => e.code === 'CLOSED')
})

test('an encoder writes a file that appears whole, or nothing', async () => {
  const folder = temporary()
  const target = path.join(folder, 'a.flac')
  const audio = signal({ kind: 'ramp', frames: 30_000, channels: 2, gain: 0.5 })
  const encoder = await ps.Encoder.create(target, { ...stereo, format: { format: 'flac', bits: 24 } })
  assert.equal(encoder.negotiated.spec.rate_hz, 48_000)
  for (let at = 0; at < 30_000; at += 7000) await encoder.write(audio.channels.map((c) => c.subarray(at, at + 7000)))
  assert(!existsSync(target))
  const encoded = await encoder.finish()
  assert.equal(encoded.frames, 30_000)
  assert.equal(sha256(await ps.decode(target)), sha256(audio))
  await assert.rejects(encoder.write(audio), (e) => e.code === 'CLOSED')

  const dropped = await ps.Encoder.create(path.join(folder, 'b.wav'), stereo)
  await dropped.write(audio)
  dropped.abort()
  await assert.rejects(ps.Encoder.create(target, { ...stereo, overwrite: 'refuse' }), (e) => e.code === 'CONFLICT')
  await assert.rejects(ps.Encoder.create(target, { ...stereo, formt: 'wav' }), /formt/)
  assert.deepEqual(readdirSync(folder), ['a.flac'])
})

test('an encoder to memory gives the bytes of the file', async () => {
  const audio = signal({ kind: 'noise', frames: 48_000, gain: 0.25 })
  const encoder = await ps.Encoder.create(null, { rate_hz: 48_000, layout: 'mono', format: 'opus' })
  await encoder.write(audio)
  const { data, frames } = await encoder.finish()
  assert.equal(frames, 48_000)
  assert.equal(sha256(data), sha256((await ps.encodeToMemory(audio, 'opus')).data))
  assert.equal((await ps.probe(data)).stream.codec, 'opus')
})

test('samples are not copied: in place where JavaScript has them, out as the memory of the engine', async () => {
  const memory = new ArrayBuffer(4 * 1000)
  const samples = new Float32Array(memory, 400, 800).fill(0.5)
  const mono = { rate_hz: 48_000, channels: 1 }
  new ps.Chain(GAIN, mono).process([samples])
  assert(Math.abs(new Float32Array(memory)[899] - 0.25) < 1e-6)
  assert.equal(new Float32Array(memory)[900], 0)
  const audio = new ps.Audio([samples], mono)
  assert.equal(audio.channels[0], samples)
  const whole = new ps.Audio(new Float32Array(memory), { rate_hz: 48_000, layout: 2 })
  assert(whole.channels.every((channel) => channel.buffer === memory))
  // Memory of the engine belongs to it: JavaScript cannot give it away, as it could a copy of its own. Node 20 clones it instead, later
  // ones refuse.
  const decoded = await ps.decode(media('speech.flac'))
  const { buffer } = decoded.channels[0]
  try {
    structuredClone(buffer, { transfer: [buffer] })
  } catch {}
  assert(buffer.byteLength > 0)
  structuredClone(memory, { transfer: [memory] })
  assert.equal(memory.byteLength, 0)
})
