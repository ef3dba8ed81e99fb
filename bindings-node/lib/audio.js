'use strict'

const native = require('./addon.js')
const { invalid } = require('./error.js')

/** Audio in memory: one Float32Array per channel, +/-1.0 is full scale. */
class Audio {
  /**
   * @param {Float32Array[] | Float32Array} samples one array per channel; or one array, channel after channel, with `layout` said
   * @param {{ rate_hz: number, layout?: string | number }} spec
   */
  constructor(samples, { rate_hz, layout }) {
    this.rate_hz = rate_hz
    if (Array.isArray(samples)) {
      this.layout = String(layout ?? samples.length)
      this.channels = samples
    } else if (samples instanceof Float32Array) {
      if (layout === undefined) throw invalid('layout', layout, 'a layout or a number of channels, for samples in one array')
      this.layout = String(layout)
      const count = channelCount(this.layout)
      const frames = samples.length / count
      if (!Number.isInteger(frames)) throw invalid('samples', `${samples.length} samples`, `a multiple of ${count} channels`)
      this.channels = Array.from({ length: count }, (_, c) => samples.subarray(c * frames, (c + 1) * frames))
    } else {
      throw invalid('samples', samples, 'a list of Float32Arrays, or one Float32Array')
    }
  }

  /** Audio of one array of interleaved samples. Copies. */
  static fromInterleaved(samples, { rate_hz, layout }) {
    const count = channelCount(String(layout))
    const frames = Math.floor(samples.length / count)
    const channels = Array.from({ length: count }, () => new Float32Array(frames))
    channels.forEach((channel, c) => {
      for (let n = 0; n < frames; n++) channel[n] = samples[n * count + c]
    })
    return new Audio(channels, { rate_hz, layout })
  }

  /** Audio as the addon gives it. */
  static fromNative({ rate_hz, layout, samples }) {
    return new Audio(samples, { rate_hz, layout })
  }

  /** Frames: samples of one channel. */
  get frames() {
    return this.channels[0]?.length ?? 0
  }

  /** Length in seconds. */
  get duration_s() {
    return this.frames / this.rate_hz
  }

  /** The samples of all channels, frame by frame, in a new array. */
  toInterleaved() {
    const count = this.channels.length
    const out = new Float32Array(count * this.frames)
    this.channels.forEach((channel, c) => {
      for (let n = 0; n < channel.length; n++) out[n * count + c] = channel[n]
    })
    return out
  }
}

/** Channels of a layout. */
function channelCount(layout) {
  return native.channelCount(layout)
}

/** Whether a value is audio in memory: an Audio, or an object shaped like one. */
function isAudio(value) {
  return typeof value === 'object' && value !== null && typeof value.rate_hz === 'number' && Array.isArray(value.channels)
}

/** The samples and the interleaving of an argument that is audio, a list of channels, or one array. */
function samplesOf(value) {
  return isAudio(value) ? value.channels : value
}

/** The layout of audio. */
function layoutOf(audio) {
  return String(audio.layout ?? audio.channels.length)
}

module.exports = { Audio, isAudio, layoutOf, samplesOf }
