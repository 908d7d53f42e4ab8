/* Debian's Wine 8 lacks bcryptprimitives.dll, from which Rust's standard library takes random bytes.
   Every Windows since 7 has it; only the test puts this one in its place. */
#include <stddef.h>

__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *, unsigned long);

__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *data, size_t length) {
  return SystemFunction036(data, (unsigned long)length);
}
