'use strict'

/**
 * An error of the engine. `code` is its stable name (`OUT_OF_RANGE`), `number` its stable number, `kind` its class, `details` its
 * data.
 */
class PureSoundError extends Error {
  constructor(message, { name = 'INTERNAL', code = 1000, kind = 'internal', details = {}, causes = [] } = {}) {
    super(message, causes.length > 0 ? { cause: new Error(causes.join(': ')) } : undefined)
    this.code = name
    this.number = code
    this.kind = kind
    this.details = details
  }

  /** The error of a record of the core, as JSON text. */
  static fromRecord(text) {
    const record = JSON.parse(text)
    return new PureSoundError(record.message, record)
  }

  toJSON() {
    const { message, code, number, kind, details } = this
    return { code, number, kind, message, details }
  }
}
Object.defineProperty(PureSoundError.prototype, 'name', { value: 'PureSoundError', writable: true, configurable: true })

/** An argument that is none of what is allowed. */
function invalid(name, value, allowed) {
  const shown = typeof value === 'string' ? value : value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value
  const details = { name, value: shown, allowed }
  const record = { name: 'INVALID_VALUE', code: 301, kind: 'out_of_range', details }
  return new PureSoundError(`${name}: '${shown}' is not valid, allowed: ${allowed}`, record)
}

module.exports = { PureSoundError, invalid }
