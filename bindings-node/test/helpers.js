'use strict'

const { createHash } = require('node:crypto')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after } = require('node:test')
const { Audio } = require('..')

const root = path.join(__dirname, '..', '..')
const media = (name) => path.join(root, 'examples', 'media', name)

/** A folder that is removed after the tests of the file. */
function temporary() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pure-sound-test-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * A signal that is exact in every language: noise of a linear congruential generator (Numerical Recipes' constants), a square wave,
 * a ramp, an impulse, silence. See tests/parity.
 */
function signal({ kind, seed = 1, frames, channels = 1, rate_hz = 48_000, gain = 1, period_frames = 100, at = 0, layout }) {
  const planes = Array.from({ length: channels }, (_, c) => {
    const plane = new Float32Array(frames)
    let state = (seed + c) >>> 0
    for (let n = 0; n < frames; n++) {
      if (kind === 'noise') {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        plane[n] = ((state >>> 8) / 8_388_608 - 1) * gain
      } else if (kind === 'square') {
        plane[n] = n % period_frames < Math.floor(period_frames / 2) === (c % 2 === 0) ? gain : -gain
      } else if (kind === 'ramp') {
        plane[n] = (((n + c) % 256) / 128 - 1) * gain
      } else if (kind === 'impulse') {
        plane[n] = n === at ? gain : 0
      } else if (kind !== 'silence') {
        throw new Error(`unknown signal ${kind}`)
      }
    }
    return plane
  })
  return new Audio(planes, { rate_hz, layout: layout ?? channels })
}

/** SHA-256 of interleaved little-endian samples, or of bytes. */
function sha256(data) {
  const bytes = data instanceof Audio ? new Uint8Array(data.toInterleaved().buffer) : data
  return createHash('sha256').update(bytes).digest('hex')
}

/** One Audio of many blocks. */
function join(blocks) {
  const [first] = blocks
  const channels = first.channels.map((_, c) => {
    const whole = new Float32Array(blocks.reduce((sum, block) => sum + block.frames, 0))
    let at = 0
    for (const block of blocks) {
      whole.set(block.channels[c], at)
      at += block.frames
    }
    return whole
  })
  return new Audio(channels, first)
}

module.exports = { join, media, read: (name) => readFileSync(media(name)), root, sha256, signal, temporary }
