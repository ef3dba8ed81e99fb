'use strict'

const assert = require('node:assert/strict')
const test = require('node:test')
const ps = require('..')
const native = require('../lib/addon.js')
const { media } = require('./helpers.js')

test('an error carries code, number, kind and data, thrown or as a rejection', async () => {
  const thrown = () => ps.preset('podcats')
  assert.throws(thrown, (error) => {
    assert(error instanceof ps.PureSoundError && error instanceof Error)
    assert.equal(error.name, 'PureSoundError')
    assert.equal(error.code, 'UNKNOWN_NAME')
    assert.equal(error.number, 302)
    assert.equal(error.kind, 'out_of_range')
    assert.deepEqual(error.details, { what: 'preset', name: 'podcats', suggestion: 'podcast' })
    assert.match(error.message, /did you mean 'podcast'/)
    assert.equal(JSON.parse(JSON.stringify(error)).code, 'UNKNOWN_NAME')
    return true
  })
  await assert.rejects(ps.probe('/no/such/file.wav'), (error) => {
    assert(error instanceof ps.PureSoundError)
    assert.deepEqual([error.code, error.details.path], ['NOT_FOUND', '/no/such/file.wav'])
    return true
  })
})

test('the table of errors has unique names and numbers', () => {
  const table = ps.errorTable()
  assert(table.length >= 19)
  assert.equal(new Set(table.map((e) => e.code)).size, table.length)
  assert.equal(new Set(table.map((e) => e.number)).size, table.length)
  assert.deepEqual(table.find((e) => e.number === 300), { number: 300, code: 'OUT_OF_RANGE', kind: 'out_of_range' })
})

test('a panic becomes an error with its place, and nothing is printed', () => {
  assert.throws(() => native.testPanic(), (error) => {
    assert.equal(error.code, 'PANIC')
    assert.match(error.details.place, /lib\.rs:\d+$/)
    return true
  })
})

test('arguments that are none are refused by name', async () => {
  const refused = (promise, pattern) => assert.rejects(promise, (e) => e.code === 'INVALID_VALUE' && pattern.test(e.message))
  await refused(ps.probe(7), /input: 'number'/)
  await refused(ps.probe(null), /input: 'null'/)
  await refused(ps.probe(undefined), /input: 'undefined'/)
  await refused(ps.process(media('speech.flac'), 7), /output: 'number'/)
  await refused(ps.process(media('speech.flac'), 'a.wav', 'podcast'), /options/)
  await refused(ps.encode({}, 'a.wav'), /audio/)
  await refused(ps.probe(media('speech.flac'), { stirct: true }), /stirct/)
  await refused(ps.process(media('speech.flac'), null, { onProgress: 3 }), /onProgress/)
  assert.throws(() => new ps.Chain([{ type: 'gain' }], { rate_hz: 48_000 }), /layout/)
  assert.throws(() => new ps.Chain([{ type: 'gain' }], { rate_hz: 0, channels: 1 }), (e) => e.code === 'OUT_OF_RANGE')
  assert.throws(() => new ps.Chain([{ type: 'gain', gain_db: 1000 }], { rate_hz: 48_000, channels: 1 }), (e) => {
    assert.equal(e.code, 'OUT_OF_RANGE')
    assert.equal(e.details.value, 1000)
    return true
  })
  assert.throws(() => new ps.Engine({ engine: { treads: 2 } }), (e) => {
    assert.equal(e.code, 'INVALID')
    assert.match(e.details.problems[0].message, /threads/)
    return true
  })
})
