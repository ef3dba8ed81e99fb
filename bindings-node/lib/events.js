'use strict'

const { invalid } = require('./error.js')

/** Names of options, as the addon has them. */
function settings({ signal, ...options } = {}) {
  return JSON.stringify(options)
}

/** A handler that hears of events until `close`. It does not keep the process alive. */
class Subscription {
  #native

  constructor(engine, pattern, handler, options = {}) {
    if (typeof handler !== 'function') throw invalid('handler', handler, 'a function')
    const { signal } = options
    signal?.throwIfAborted()
    this.#native = engine.subscribe(String(pattern), settings(options), (text) => {
      // Told first: a handler that throws must not stop the rest.
      this.#native?.taken()
      if (this.#native !== undefined) handler(JSON.parse(text))
    })
    signal?.addEventListener('abort', () => this.close(), { once: true })
  }

  /** What it did so far; null when it was ended. */
  get stats() {
    const text = this.#native?.stats()
    return text ? JSON.parse(text) : null
  }

  /** Ends it: the handler is not called again. */
  close() {
    const native = this.#native
    this.#native = undefined
    native?.unsubscribe()
  }

  [Symbol.dispose]() {
    this.close()
  }
}

/** Events as an async iterator. Ends by `break`, `return()` or the signal; the subscription begins when it is made. */
class EventStream {
  #native
  #queue = []
  #waiting = []
  #ended = false
  #signal
  #onAbort
  #alive

  constructor(engine, pattern, options = {}) {
    this.#signal = options.signal
    this.#signal?.throwIfAborted()
    this.#native = engine.subscribe(String(pattern), settings(options), (text) => {
      if (this.#ended) return
      const waiter = this.#waiting.shift()
      if (waiter === undefined) {
        this.#queue.push(text)
      } else {
        this.#native.taken()
        this.#rest()
        waiter.resolve({ value: JSON.parse(text), done: false })
      }
    })
    this.#onAbort = () => this.#end(this.#signal.reason)
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** The process lives as long as somebody waits: the addon's side of it alone would not keep it. */
  #rest() {
    if (this.#waiting.length > 0) {
      this.#alive ??= setInterval(() => {}, 0x7fffffff)
    } else {
      clearInterval(this.#alive)
      this.#alive = undefined
    }
  }

  #end(error) {
    if (this.#ended) return
    this.#ended = true
    this.#queue.length = 0
    this.#native.unsubscribe()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    for (const waiter of this.#waiting.splice(0)) {
      if (error === undefined) waiter.resolve({ value: undefined, done: true })
      else waiter.reject(error)
    }
    this.#rest()
  }

  async next() {
    if (this.#queue.length > 0) {
      this.#native.taken()
      return { value: JSON.parse(this.#queue.shift()), done: false }
    }
    if (this.#ended) {
      if (this.#signal?.aborted) throw this.#signal.reason
      return { value: undefined, done: true }
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#rest()
    })
  }

  async return() {
    this.#end()
    return { value: undefined, done: true }
  }

  /** What is there by now, without waiting. Deliveries come in turns of the event loop. */
  poll() {
    return this.#queue.splice(0).map((text) => {
      this.#native.taken()
      return JSON.parse(text)
    })
  }

  [Symbol.asyncIterator]() {
    return this
  }

  async [Symbol.asyncDispose]() {
    this.#end()
  }
}

module.exports = { EventStream, Subscription }
