// Turns uploads into Opus. See README.md.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import { PureSoundError, chainStream, decodeStream, encodeStream, processToMemory } from 'pure-sound'

/** What each kind of error is for a client. */
const STATUS = { input: 415, unsupported: 415, out_of_range: 400, limit: 413, unavailable: 503 }

class TooLarge extends Error {}

/** Passes bytes on, up to a limit. */
function limited(max_bytes) {
  let bytes = 0
  return new Transform({
    transform(chunk, encoding, callback) {
      bytes += chunk.length
      callback(bytes > max_bytes ? new TooLarge(`more than ${max_bytes} bytes`) : null, chunk)
    },
  })
}

/** A server that is not listening yet. */
export function server({ max_bytes = 200 << 20, max_seconds = 3 * 3600, max_jobs = 4, onJob = () => {} } = {}) {
  let jobs = 0
  const limits = { max_seconds }

  /** Levels the whole recording: it is known only at the end, so the answer comes then. */
  async function levelled(body, response, signal) {
    const { report, outputs } = await processToMemory(body, { preset: 'podcast', format: 'opus', read: { limits }, signal })
    const { integrated_lufs, true_peak_dbtp } = report.outputs[0].after
    // Null: silence.
    const text = (level) => (level === null ? '-inf' : level.toFixed(1))
    response.setHeader('x-loudness', `${text(integrated_lufs)} LUFS, ${text(true_peak_dbtp)} dBTP`)
    response.setHeader('content-type', 'audio/ogg; codecs=opus')
    response.end(outputs[0])
  }

  /** Filters and encodes as the blocks come. */
  async function live(body, response, signal) {
    const decoder = decodeStream({ limits })
    // The kind of answer is known when the recording is: before that an error can still be told.
    decoder.once('info', () => response.setHeader('content-type', 'audio/ogg; codecs=opus'))
    const filters = chainStream(['highpass:cutoff_hz=80', 'compressor', 'limiter'])
    // Written by hand: a pipeline would close the response with the first error, and the client would not hear of it.
    const send = async (chunks) => {
      for await (const chunk of chunks) if (!response.write(chunk)) await once(response, 'drain', { signal })
    }
    await pipeline(body, decoder, filters, encodeStream({ format: 'opus' }), send, { signal })
    response.end()
  }

  return createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost')
    const refuse = (status, message) => {
      if (response.destroyed) return
      if (response.headersSent) return response.destroy()
      // The rest of the body is not wanted.
      response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`${message}\n`)
    }
    if (pathname !== '/opus') return refuse(404, 'POST a recording to /opus')
    if (request.method !== 'POST') return refuse(405, 'POST a recording')
    if (jobs >= max_jobs) return refuse(503, 'busy, try again')
    if (Number(request.headers['content-length'] ?? 0) > max_bytes) return refuse(413, `more than ${max_bytes} bytes`)

    jobs += 1
    const gone = new AbortController()
    response.on('close', () => gone.abort(new Error('the client went away')))
    const body = limited(max_bytes)
    // The limit ends `body`, and with it the job that reads it; the request stays open for the answer.
    request.on('error', (error) => body.destroy(error)).pipe(body)
    let outcome = 'done'
    try {
      await (searchParams.has('live') ? live : levelled)(body, response, gone.signal)
    } catch (error) {
      outcome = gone.signal.aborted ? 'cancelled' : (error.code ?? error.constructor.name)
      if (error instanceof TooLarge) refuse(413, error.message)
      else if (error instanceof PureSoundError) refuse(STATUS[error.kind] ?? 500, error.message)
      else refuse(500, 'failed')
    } finally {
      jobs -= 1
      onJob(outcome)
    }
  })
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const port = Number(process.env.PORT ?? 8080)
  server().listen(port, () => console.log(`http://localhost:${port}/opus`))
}
