'use strict'

const assert = require('node:assert/strict')
const test = require('node:test')
const ps = require('..')
const { media } = require('./helpers.js')

const speech = media('speech.flac')
const analysis = { features: { pitch: false } }

test('features are the series of an analysis', async () => {
  const whole = await ps.analyse(speech, { analysis: { ...analysis, series: true } })
  const { analysis: record, features } = await ps.features(speech, { analysis })
  assert.deepEqual(record.features, whole.features)
  assert.equal(record.series, undefined)
  const { frames } = whole.features
  assert(features.rms instanceof Float32Array)
  assert.deepEqual([...features.rms], whole.series.rms.map(Math.fround))
  assert.equal(features.mfcc.length, 20)
  features.mfcc.forEach((row, band) => {
    assert.equal(row.length, frames)
    assert.deepEqual([...row], whole.series.mfcc[band].map(Math.fround))
  })
  assert.equal(features.f0_hz, undefined)
})

test('progress, abort and wrong options', async () => {
  const heard = []
  await ps.analyse(speech, { analysis, onProgress: ({ fraction }) => void heard.push(fraction) })
  assert.equal(heard.at(-1), 1)
  const controller = new AbortController()
  controller.abort(new Error('enough'))
  await assert.rejects(ps.features(speech, { signal: controller.signal }), /enough/)
  await assert.rejects(ps.analyse(speech, { analysis: { features: { n_mfcc: 0 } } }), { code: 'OUT_OF_RANGE' })
  await assert.rejects(ps.analyse(speech, { analyses: {} }), { code: 'INVALID_VALUE' })
})
