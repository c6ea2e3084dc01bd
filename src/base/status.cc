#include "pocket/status.h"

const char* pocket_status_name(int32_t status) {
  switch (status) {
    case POCKET_OK:
      return "OK";
    case POCKET_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case POCKET_NOT_FOUND:
      return "NOT_FOUND";
    case POCKET_ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case POCKET_PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case POCKET_RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case POCKET_BUSY:
      return "BUSY";
    case POCKET_UNAVAILABLE:
      return "UNAVAILABLE";
    case POCKET_DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case POCKET_CANCELLED:
      return "CANCELLED";
    case POCKET_FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case POCKET_UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case POCKET_VERSION_MISMATCH:
      return "VERSION_MISMATCH";
    case POCKET_DATA_LOSS:
      return "DATA_LOSS";
    case POCKET_ENGINE_ERROR:
      return "ENGINE_ERROR";
    case POCKET_INTERNAL:
      return "INTERNAL";
    case POCKET_OUTPUT_TOO_SMALL:
      return "OUTPUT_TOO_SMALL";
    default:
      return "UNKNOWN";
  }
}

int pocket_status_is_retryable(int32_t status) {
  return status == POCKET_BUSY || status == POCKET_UNAVAILABLE ? 1 : 0;
}
