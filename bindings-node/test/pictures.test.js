'use strict'

// Recommendations, comparisons, pictures and pages; and calls with two inputs.

const assert = require('node:assert/strict')
const { createReadStream, openAsBlob } = require('node:fs')
const path = require('node:path')
const { Readable } = require('node:stream')
const test = require('node:test')
const { pathToFileURL } = require('node:url')
const ps = require('..')
const { media, read, signal, temporary } = require('./helpers.js')

const speech = media('speech.flac')

/** Each call with these options, on the same recording. */
const calls = {
  classify: (options) => ps.classify(speech, options),
  recommend: (options) => ps.recommend(speech, options),
  compare: (options) => ps.compare(speech, speech, options),
  waveformPeaks: (options) => ps.waveformPeaks(speech, options),
  waveformPng: (options) => ps.waveformPng(speech, options),
  spectrogramPng: (options) => ps.spectrogramPng(speech, options),
  analysisPage: (options) => ps.analysisPage(speech, options),
  comparisonPage: (options) => ps.comparisonPage(speech, speech, options),
}

/** A stream that never ends. */
async function* stuck() {
  yield Buffer.from('fLaC')
  await new Promise(() => setTimeout(() => {}, 1e6).unref())
}

const near = (got, expected, tolerance) => assert(Math.abs(got - expected) <= tolerance, `${got} instead of ${expected}`)

test('a recommendation says why, and its recipe can be run as it is', async () => {
  const { content, preset, level, output, recipe } = await ps.recommend(speech, { content: 'speech' })
  assert.equal(content, 'speech')
  assert(ps.presets().some(({ name }) => name === preset.preset))
  near(level.value, (await ps.measure(speech))[level.name], 0.1)
  assert(output.because.length > 0 && output.formats.length > 0)
  assert.deepEqual(ps.recipe(recipe), recipe)
  const report = await ps.process(speech, path.join(temporary(), 'a.opus'), recipe)
  near(report.outputs[0].after[level.name], level.threshold, 1)
})

test('a recording is like itself, and a copy differs by what was done', async () => {
  const same = await ps.compare(speech, speech)
  const { frames, rate_hz } = await ps.decode(speech)
  assert.equal(same.differences.identical, true)
  assert.equal(same.differences.snr_db, 200)
  assert.deepEqual([same.reference.frames, same.degraded.frames], [frames, frames])
  assert.equal(same.reference.spec.rate_hz, rate_hz)

  const { outputs } = await ps.processToMemory(speech, { filters: ['gain:gain_db=-6'], format: 'flac' })
  const { differences, alignment } = await ps.compare(speech, outputs[0])
  assert.equal(differences.identical, false)
  assert.equal(alignment.offset_frames, 0)
  near(differences.level_difference_db, -6, 0.05)
  const matched = await ps.compare(speech, outputs[0], { compare: { match_level: true } })
  near(matched.matched_db, 6, 0.05)
  assert(matched.differences.snr_db > 40)
  // The other way round it is louder.
  near((await ps.compare(outputs[0], speech)).differences.level_difference_db, 6, 0.05)
})

test('both inputs may be anything that is an input', async () => {
  const bytes = read('speech.flac')
  const stream = () => createReadStream(speech)
  const pairs = [
    [bytes, stream()],
    [stream(), bytes],
    [stream(), Readable.toWeb(stream())],
    [pathToFileURL(speech), await openAsBlob(speech)],
    [await ps.decode(speech), new Uint8Array(bytes)],
  ]
  for (const [reference, degraded] of pairs) {
    const { differences } = await ps.compare(reference, degraded)
    assert.equal(differences.identical, true)
  }
  const blob = await openAsBlob(speech)
  assert.equal((await ps.compare(blob, blob)).differences.identical, true)
})

test('two streams that are longer than what may wait arrive whole', async () => {
  const audio = signal({ kind: 'noise', frames: 400_000, channels: 2, gain: 0.25 })
  const { data } = await ps.encodeToMemory(audio, { format: { format: 'wav', sample: 'f32' } })
  assert(data.length > 3 << 20)
  const chunks = function* () {
    for (let at = 0; at < data.length; at += 100_000) yield data.subarray(at, at + 100_000)
  }
  const stream = () => Readable.from(chunks())
  const { differences, degraded } = await ps.compare(stream(), stream())
  assert.deepEqual([differences.identical, degraded.frames], [true, 400_000])
  assert.match(await ps.comparisonPage(stream(), stream(), { title: 'Two streams' }), /Two streams/)
})

test('what is wrong with either input is told, the first one first', async () => {
  for (const call of [ps.compare, ps.comparisonPage]) {
    const missing = (before, after, name) => assert.rejects(call(before, after), (e) => e.code === 'NOT_FOUND' && e.details.path === name)
    await missing('/no/a.wav', '/no/b.wav', '/no/a.wav')
    await missing(speech, '/no/b.wav', '/no/b.wav')
    await assert.rejects(call(7, {}), { code: 'INVALID_VALUE', message: /input: 'number'/ })
    await assert.rejects(call(speech), { code: 'INVALID_VALUE', message: /input: 'undefined'/ })
    const twice = createReadStream(speech)
    await assert.rejects(call(twice, twice), { code: 'INVALID_VALUE', message: /one stream twice/ })
    twice.destroy()
  }
})

test('a stream that breaks ends the call, whatever the other one does; both are closed', async () => {
  const reason = new Error('connection reset')
  const broken = () =>
    Readable.from(
      (async function* () {
        yield read('speech.flac').subarray(0, 50_000)
        throw reason
      })()
    )
  for (const call of [ps.compare, ps.comparisonPage]) {
    await assert.rejects(call(broken(), speech), (e) => e === reason)
    await assert.rejects(call(speech, broken()), (e) => e === reason)
    // The engine waits for bytes of the other one.
    for (const pair of [
      [Readable.from(stuck()), broken()],
      [broken(), Readable.from(stuck())],
    ]) {
      await assert.rejects(call(...pair), (e) => e === reason)
      assert(pair.every((stream) => stream.destroyed))
    }
    const refused = [createReadStream(speech), createReadStream(speech)]
    await assert.rejects(call(...refused, { read: { limits: { max_bytes: 1000 } } }), { code: 'LIMIT_EXCEEDED' })
    assert(refused.every((stream) => stream.destroyed))
  }
})

test('abort and progress', async () => {
  const reason = new Error('the user left')
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(call({ signal: AbortSignal.abort(reason) }), (e) => e === reason, name)
    const heard = []
    await call({ onProgress: ({ fraction }) => void heard.push(fraction) })
    assert.equal(heard.at(-1), 1, name)
  }
  for (const call of [ps.compare, ps.comparisonPage]) {
    const pair = [Readable.from(stuck()), Readable.from(stuck())]
    await assert.rejects(call(...pair, { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
    assert(pair.every((stream) => stream.destroyed))
  }
  const long = signal({ kind: 'noise', frames: 48_000 * 60, channels: 2, gain: 0.25 })
  const controller = new AbortController()
  const running = ps.compare(long, long, { signal: controller.signal, onProgress: () => controller.abort(reason) })
  await assert.rejects(running, (e) => e === reason)
  await assert.rejects(ps.compare(long, long, { onProgress: () => false }), { code: 'CANCELLED' })
  // While the second input of a page is still coming.
  await assert.rejects(ps.comparisonPage(speech, Readable.from(stuck()), { onProgress: () => false }), { code: 'CANCELLED' })
})

test('peaks are the extremes of the samples', async () => {
  const { channels, frames, rate_hz } = await ps.decode(speech)
  const peaks = await ps.waveformPeaks(speech, { peaks: { samples_per_pixel: 1000 } })
  assert.deepEqual([peaks.rate_hz, peaks.samples_per_pixel, peaks.channels], [rate_hz, 1000, 1])
  assert.equal(peaks.data.length, 2 * Math.ceil(frames / 1000))
  // 16 bits in the file: exact.
  const first = channels[0].subarray(0, 1000)
  assert.deepEqual(peaks.data.slice(0, 2), [Math.min(...first) * 32_768, Math.max(...first) * 32_768])
  const few = await ps.waveformPeaks(speech, { peaks: { max_pixels: 100 } })
  assert(few.data.length <= 200)
})

test('pictures are PNGs of the size that was asked for, the same from any input', async () => {
  for (const [draw, usual] of [
    [ps.waveformPng, [1200, 300]],
    [ps.spectrogramPng, [1200, 512]],
  ]) {
    const sizeOf = (png) => [png.readUInt32BE(16), png.readUInt32BE(20)]
    const png = await draw(speech)
    assert(Buffer.isBuffer(png))
    assert.equal(png.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n')
    assert.deepEqual(sizeOf(png), usual)
    assert.deepEqual(sizeOf(await draw(speech, { width: 400, height: 120 })), [400, 120])
    assert(png.equals(await draw(read('speech.flac'))))
    assert(png.equals(await draw(createReadStream(speech))))
    assert(!png.equals(await draw(speech, { axes: false })))
  }
})

test('a page of a recording, with what stands on it as data', async () => {
  const options = { title: 'Take <1>', specifications: ['acx'], target_lufs: -16 }
  const { html, analysis, check } = await ps.analysisPage(speech, options)
  assert.match(html, /<title>Take &lt;1&gt;<\/title>/)
  const plain = await ps.check(speech, { specifications: 'acx' })
  assert.deepEqual(
    check.quality.verdicts.map(({ name }) => name),
    plain.quality.verdicts.map(({ name }) => name)
  )
  assert.deepEqual([check.delivery.length, check.passed], [1, plain.passed])
  near(analysis.loudness.integrated_lufs, (await ps.measure(speech)).integrated_lufs, 0.01)
  assert.match((await ps.analysisPage(speech)).html, /<title>speech\.flac<\/title>/)
})

test('a page of before and after, with the report of the run', async () => {
  const { report, outputs } = await ps.processToMemory(speech, { preset: 'podcast', format: 'opus' })
  const html = await ps.comparisonPage(speech, outputs[0], { report, title: 'Before & after' })
  assert.match(html, /<title>Before &amp; after<\/title>/)
  assert.match(html, /Preset podcast/)
  for (const nothing of [{}, { report: null }]) {
    const without = await ps.comparisonPage(speech, outputs[0], nothing)
    assert.match(without, /<title>speech\.flac → recording<\/title>/)
    assert.doesNotMatch(without, /Preset podcast/)
  }
})

test('wrong options are refused by name', async () => {
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(call({ nonsense: 1 }), (e) => e.code === 'INVALID_VALUE' && e.details.name === 'options', name)
    await assert.rejects(call('podcast'), (e) => e.code === 'INVALID_VALUE' && e.details.name === 'options', name)
  }
  const code = (promise, expected) => assert.rejects(promise, { code: expected })
  await code(ps.recommend(speech, { content: 'noise' }), 'INVALID_VALUE')
  await code(ps.compare(speech, speech, { compare: { max_offset_s: 100 } }), 'OUT_OF_RANGE')
  await code(ps.waveformPeaks(speech, { peaks: { samples_per_pixel: 1 } }), 'OUT_OF_RANGE')
  await code(ps.waveformPng(speech, { width: 8 }), 'OUT_OF_RANGE')
  await code(ps.waveformPng(speech, { colours: { wave: 'red' } }), 'INVALID_VALUE')
  await code(ps.spectrogramPng(speech, { fft_size: 1000 }), 'INVALID_VALUE')
  for (const page of [ps.analysisPage, (input, options) => ps.comparisonPage(input, input, options)]) {
    await code(page(speech, { specifications: ['acx', 'nothing'] }), 'UNKNOWN_NAME')
    await code(page(speech, { target_lufs: 5 }), 'OUT_OF_RANGE')
  }
  const wrong = ps.comparisonPage(speech, speech, { report: { outputs: 7 } })
  await assert.rejects(wrong, (e) => e.code === 'INVALID_VALUE' && e.details.name === 'report')
  // Different numbers of channels.
  await code(ps.compare(speech, media('music.mp3')), 'INVALID_VALUE')
  assert.equal((await ps.compare(speech, media('music.mp3'), { compare: { mix_to_mono: true } })).differences.identical, false)
})
