'use strict'
// The addon, set up for this JavaScript environment: its errors are ours.

const { PureSoundError } = require('./error.js')

const native = require('./native.js').load()
native.onError((record) => PureSoundError.fromRecord(record))

module.exports = native
