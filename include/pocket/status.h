/* Status codes shared by every Pocket interface (libpocket, engine plugins, wire).
 *
 * The numbers are part of the wire format and of the C ABI: codes are only ever appended.
 * Each code says whether the same call may be tried again (see pocket_status_is_retryable).
 */
#ifndef POCKET_STATUS_H_
#define POCKET_STATUS_H_

#include <stdint.h>

#if defined(__GNUC__)
#define POCKET_API __attribute__((visibility("default")))
#else
#define POCKET_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pocket_status {
  POCKET_OK = 0,
  POCKET_INVALID_ARGUMENT = 1,     /* the caller's argument is wrong: never retry unchanged */
  POCKET_NOT_FOUND = 2,            /* no such model, input, output, handle or socket */
  POCKET_ALREADY_EXISTS = 3,       /* e.g. a second service on one socket */
  POCKET_PERMISSION_DENIED = 4,    /* identity is known and not allowed */
  POCKET_RESOURCE_EXHAUSTED = 5,   /* a configured limit or memory: "never" for this size */
  POCKET_BUSY = 6,                 /* full queue or ring: "not now", retry after a moment */
  POCKET_UNAVAILABLE = 7,          /* service or runner is gone or restarting: retry */
  POCKET_DEADLINE_EXCEEDED = 8,    /* the deadline passed before the answer */
  POCKET_CANCELLED = 9,            /* cancelled by the caller or by a shutdown */
  POCKET_FAILED_PRECONDITION = 10, /* wrong state: e.g. after fork, call already in flight */
  POCKET_UNIMPLEMENTED = 11,       /* this build, engine or host cannot do it */
  POCKET_VERSION_MISMATCH = 12,    /* client and service speak no common protocol version */
  POCKET_DATA_LOSS = 13,           /* corrupt or truncated file or message */
  POCKET_ENGINE_ERROR = 14,        /* the engine's own error; its message is carried along */
  POCKET_INTERNAL = 15,            /* a bug of ours: please report it */
  POCKET_OUTPUT_TOO_SMALL = 16     /* the result is larger than the space given for it */
} pocket_status;

/* Name of a code, e.g. "NOT_FOUND"; "UNKNOWN" for a number that is none. Never NULL. */
POCKET_API const char* pocket_status_name(int32_t status);

/* 1 when the identical call may succeed later (BUSY, UNAVAILABLE), else 0. */
POCKET_API int pocket_status_is_retryable(int32_t status);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* POCKET_STATUS_H_ */
