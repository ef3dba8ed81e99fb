'use strict'

// Runs examples/node/server.js on the loopback.

const assert = require('node:assert/strict')
const { cpSync, mkdirSync, symlinkSync } = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { Readable } = require('node:stream')
const { after, before, test } = require('node:test')
const { pathToFileURL } = require('node:url')
const ps = require('..')
const { read, root, signal, temporary } = require('./helpers.js')

const outcomes = []
let running, port

before(async () => {
  // As after `npm install` there: the package is a link.
  const folder = temporary()
  cpSync(path.join(root, 'examples', 'node', 'server.js'), path.join(folder, 'server.mjs'))
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(path.join(__dirname, '..'), path.join(folder, 'node_modules', 'pure-sound'), 'dir')
  const { server } = await import(pathToFileURL(path.join(folder, 'server.mjs')))
  running = server({ max_bytes: 4 << 20, max_seconds: 60, max_jobs: 2, onJob: (outcome) => outcomes.push(outcome) })
  await new Promise((resolve) => running.listen(0, '127.0.0.1', resolve))
  port = running.address().port
})
after(() => running.close())

const post = (body, query = '', options = {}) =>
  fetch(`http://127.0.0.1:${port}/opus${query}`, { method: 'POST', body, duplex: 'half', ...options })

async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('an upload becomes levelled Opus', async () => {
  const response = await post(read('speech.flac'))
  assert.equal(response.status, 200)
  assert.match(response.headers.get('x-loudness'), /^-1[56]\.\d LUFS, -\d+\.\d dBTP$/)
  const opus = Buffer.from(await response.arrayBuffer())
  assert.equal((await ps.probe(opus)).stream.codec, 'opus')
  assert(Math.abs((await ps.measure(opus)).integrated_lufs + 16) <= 0.5)
})

test('live: streamed in and out', async () => {
  const bytes = read('music.mp3')
  const chunks = (function* () {
    for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000)
  })()
  const response = await post(Readable.toWeb(Readable.from(chunks)), '?live=1')
  assert.equal(response.status, 200)
  const opus = await ps.decode(Buffer.from(await response.arrayBuffer()))
  const source = await ps.decode(bytes)
  assert.equal(opus.frames, Math.round((source.frames * 48_000) / source.rate_hz))
})

test('what is no audio, too long, too large or misdirected is refused', async () => {
  const text = Buffer.from('this is not audio, it is a text about audio')
  assert.equal((await post(text)).status, 415)
  assert.equal((await post(text, '?live=1')).status, 415)
  assert.equal((await fetch(`http://127.0.0.1:${port}/opus`)).status, 405)
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404)
  // 61 s in 1 MB, of 60 that are allowed.
  const { data } = await ps.encodeToMemory(signal({ kind: 'silence', frames: 8000 * 61, rate_hz: 8000 }), 'wav')
  assert.equal((await post(data)).status, 413)
  assert.equal((await post(Buffer.alloc(5 << 20))).status, 413)
})

test('a body without a length is cut off at the limit', async () => {
  const before_ = outcomes.length
  const { status } = await new Promise((resolve, reject) => {
    const request = http.request({ port, path: '/opus', method: 'POST' }, (response) => {
      response.resume().on('end', () => resolve({ status: response.statusCode }))
    })
    request.on('error', (error) => (error.code === 'EPIPE' || error.code === 'ECONNRESET' ? undefined : reject(error)))
    const more = () => {
      while (!request.destroyed && !request.writableEnded && request.write(Buffer.alloc(64 << 10))) {}
    }
    request.on('drain', more)
    more()
    setTimeout(() => request.end(), 2000).unref()
  })
  assert.equal(status, 413)
  await until(() => outcomes.length > before_)
  assert.equal(outcomes.at(-1), 'TooLarge')
})

test('a client that goes away cancels its job, and the server is free again', async () => {
  const before_ = outcomes.length
  const controller = new AbortController()
  // A body that does not end: the job can only end by the cancel.
  const stuck = () => new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(read('speech.flac').subarray(0, 100_000))) })
  const jobs = [0, 1].map(() => post(stuck(), '', { signal: controller.signal }))
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal((await post(Buffer.from('x'))).status, 503)
  controller.abort()
  for (const job of await Promise.allSettled(jobs)) assert.equal(job.reason.name, 'AbortError')
  await until(() => outcomes.length >= before_ + 2)
  assert.deepEqual(outcomes.slice(before_), ['cancelled', 'cancelled'])
  assert.equal((await post(Buffer.from('x'))).status, 415)
})
