/*
 * Pure Sound: the C interface. Made from ffi/src by the program in ffi/header: edit there.
 *
 * HANDLES. Live objects (psnd_engine, psnd_chain, ...) are numbers, never pointers; 0 is none. A handle that is stale, of another
 * type, or made up gives PSND_STATUS_INVALID_HANDLE and touches nothing. Free each by its own function; freeing 0 is fine. An object
 * that is freed while another thread, or a callback, works with it goes when that call returns; its handle is not valid any more at
 * once.
 *
 * MEMORY. What a function gives as char* is freed by psnd_string_free, as uint8_t* by psnd_bytes_free, as psnd_error* by
 * psnd_error_free: once, by the caller. What it gives as const belongs to the object that it came from. Outputs (out_...) are written
 * on success only; but *out_error is always written.
 *
 * TEXT is UTF-8 and ends with a NUL. Options and records are JSON text; their schemas come from psnd_schema. Samples are 32-bit
 * floats, +/-1.0 is full scale: planar (an array of arrays, one for each channel) unless a function says interleaved. A frame is
 * one sample of each channel.
 *
 * ERRORS. Functions return a psnd_status. Those with a last argument out_error give more for who wants it: pass NULL, or the address
 * of a psnd_error*, which is then NULL or an error to be freed.
 *
 * THREADS. Every function may be called from any thread. Engines, audio, outputs, cancel tokens, subscriptions and pollers may be used
 * by several threads at once. Chains, meters, resamplers, decoders and encoders are for one at a time: a second one gets
 * PSND_STATUS_BUSY at once, and a callback that uses the object which called it PSND_STATUS_REENTRANT; nothing ever waits. (But
 * psnd_chain_set_parameter may be called while another thread processes.) Callbacks are called from threads of the library unless
 * said otherwise; they may call any function, and must not throw or jump out.
 *
 * FORK. After fork() the child must not use what its parent made; it may exec.
 */
