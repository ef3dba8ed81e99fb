'use strict'

const native = require('./addon.js')
const { defaultEngine } = require('./engine.js')
const { invalid } = require('./error.js')
const { pathOf, runAll } = require('./input.js')

/** A request with paths for what may be `file:` URLs. */
function requestOf(request) {
  if (typeof request !== 'object' || request === null) throw invalid('request', request, 'an object')
  const plain = { ...request }
  for (const name of ['input', 'output']) if (plain[name] instanceof URL) plain[name] = pathOf(plain[name])
  return plain
}

/** Jobs in a file, in a PostgreSQL database, or in memory; and threads that do them. */
class Jobs {
  #native

  constructor(database, { engine = defaultEngine() } = {}) {
    const path = database === undefined || database === null ? undefined : pathOf(database)
    if (path === undefined && database !== undefined && database !== null) {
      throw invalid('database', database, 'a path, a file: URL, postgres://..., or nothing')
    }
    this.#native = new native.Jobs(engine._native, path)
  }

  async submit(requests, options = {}) {
    const list = [requests ?? []].flat().map(requestOf)
    return JSON.parse(await this.#native.submit(JSON.stringify({ ...options, requests: list })))
  }

  async get(id) {
    return JSON.parse(await this.#native.get(String(id)))
  }

  async history(id) {
    return JSON.parse(await this.#native.history(String(id)))
  }

  async list(filter = {}) {
    return JSON.parse(await this.#native.list(JSON.stringify(filter)))
  }

  /** All jobs, page after page. */
  async *[Symbol.asyncIterator]() {
    const limit = 500
    let page = await this.list({ limit })
    while (page.length > 0) {
      yield* page
      page = await this.list({ limit, after: page.at(-1).id })
    }
  }

  async batch(id) {
    return JSON.parse(await this.#native.batch(String(id)))
  }

  async cancel(id, why = 'cancelled by the program') {
    return JSON.parse(await this.#native.cancel(String(id), String(why)))
  }

  async retry(id) {
    await this.#native.retry(String(id))
  }

  async setGate(scope, gate) {
    await this.#native.setGate(String(scope), String(gate))
  }

  async stats() {
    return JSON.parse(await this.#native.stats())
  }

  start(options = {}) {
    this.#native.start(JSON.stringify(options))
  }

  async stop({ patience_s: patience } = {}) {
    return this.#native.stop(patience)
  }

  async wait(ids, { timeout_s: timeout, signal } = {}) {
    const chosen = ids === undefined || ids === null ? null : [ids].flat().map(String)
    if (chosen?.length === 0) return true
    return runAll([], { signal }, (_, cancel) => this.#native.wait(JSON.stringify(chosen), timeout, cancel))
  }

  async close() {
    await this.#native.close()
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }
}

module.exports = { Jobs }
