/* sampler/limits.h -- every bound in the library: its value, what it costs, what happens there. */
#ifndef SAMPLER_LIMITS_H
#define SAMPLER_LIMITS_H

/* Frames of one stack.  The option PPROFSHIM_DEPTH chooses up to the maximum; a deeper stack keeps
 * its leaf side, ends in LIMITS_TRUNCATED and adds to count.stack_truncated. */
#define STACK_DEPTH_DEFAULT 128
#define STACK_DEPTH_MAX     1024

/* Live threads that are sampled.  Their slots come in chunks as they are needed; one thread more
 * is not sampled and adds to count.thread_no_slot. */
#define THREADS_PER_CHUNK 64
#define THREAD_CHUNKS_MAX 1024

/* Areas that samples are taken in (scratch.h): two for each CPU and four more; one sample more at
 * the same time takes memory of its own thread. */
#define SCRATCH_MAX 256

/* Bytes of one frame, and of one walk, on a stack whose bounds we do not know (a fiber, say).
 * async-profiler and gperftools use limits of the same kind (docs of both). */
#define UNKNOWN_FRAME_BYTES_MAX (256u << 10)
#define UNKNOWN_WALK_BYTES_MAX  (1u << 20)

/* Distinct names of threads and, later, sets of labels: ids are 16 bits, 0 is "none". */
#define THREAD_NAMES_MAX 4096

/* Modules: mapped objects alive at once (readable from a handler), and ever seen. */
#define MODULES_LIVE_MAX 2048
#define MODULES_EVER_MAX 8192
/* Ranges of code without a file (a JIT's); more are as if they were not there. */
#define MODULES_NAMELESS_MAX 512
#define MODULE_PATH_MAX  512
#define BUILD_ID_MAX     32

/* Log: bytes of a line, bytes of one of its parts (longer: cut, "..."), lines of a process. */
#define LOG_LINE_MAX  256
#define LOG_PART_MAX  112
#define LOG_LINES_MAX 16

#endif
