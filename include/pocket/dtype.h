/* Element types of tensors. The numbers are the ones ONNX uses in TensorProto.DataType
 * (source: the ONNX operator specification), so that no table is needed between the two.
 * Part of the wire format and of the C ABI: only ever appended.
 */
#ifndef POCKET_DTYPE_H_
#define POCKET_DTYPE_H_

#include <stddef.h>
#include <stdint.h>

#include "pocket/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pocket_dtype {
  POCKET_DTYPE_UNDEFINED = 0,
  POCKET_FLOAT32 = 1,
  POCKET_UINT8 = 2,
  POCKET_INT8 = 3,
  POCKET_UINT16 = 4,
  POCKET_INT16 = 5,
  POCKET_INT32 = 6,
  POCKET_INT64 = 7,
  POCKET_STRING = 8, /* see docs/format-tensor.md: offsets, then bytes */
  POCKET_BOOL = 9,   /* one byte an element, 0 or 1 */
  POCKET_FLOAT16 = 10,
  POCKET_FLOAT64 = 11,
  POCKET_UINT32 = 12,
  POCKET_UINT64 = 13,
  POCKET_COMPLEX64 = 14,
  POCKET_COMPLEX128 = 15,
  POCKET_BFLOAT16 = 16
} pocket_dtype;

/* Highest rank of a tensor that Pocket carries. */
#define POCKET_MAX_RANK 8

/* Bytes of one element; 0 for POCKET_STRING, POCKET_DTYPE_UNDEFINED and unknown numbers. */
POCKET_API size_t pocket_dtype_size(int32_t dtype);

/* NumPy's name of a type ("float32", "str" for strings), "undefined" for none. Never NULL. */
POCKET_API const char* pocket_dtype_name(int32_t dtype);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* POCKET_DTYPE_H_ */
