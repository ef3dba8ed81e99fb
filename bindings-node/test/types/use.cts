// As CommonJS.
import pureSound = require('../../index.js')

const engine: pureSound.Engine = pureSound.defaultEngine()
engine.probe(Buffer.alloc(3)).then((info: pureSound.MediaInfo) => info.stream.spec.rate_hz.toFixed())
engine.compare('a.wav', Buffer.alloc(3)).then((comparison: pureSound.Comparison) => comparison.differences.identical satisfies boolean)
const codes: pureSound.ErrorCode[] = pureSound.errorTable().map((entry) => entry.code)
void codes
