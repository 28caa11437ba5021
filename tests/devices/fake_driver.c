/* A libcuda.so.1 that says what the environment tells it to: faults of drivers and cards without a card.
   FAKE_CUDA=12040 (driver's CUDA version), FAKE_INIT=0 (cuInit's code), FAKE_CARDS=2, FAKE_CAPABILITY=86 (8.6),
   FAKE_GIB=24 */
#include <stdlib.h>
#include <string.h>
static int number(const char *name, int otherwise) {
    const char *s = getenv(name);
    return s ? atoi(s) : otherwise;
}
int cuInit(unsigned flags) { return number("FAKE_INIT", 0); }
int cuDriverGetVersion(int *v) {
    *v = number("FAKE_CUDA", 12040);
    return 0;
}
int cuDeviceGetCount(int *n) {
    *n = number("FAKE_CARDS", 1);
    return 0;
}
int cuDeviceGet(int *d, int i) {
    *d = i;
    return 0;
}
int cuDeviceGetName(char *name, int size, int d) {
    strncpy(name, "Fake 3000", size);
    return 0;
}
int cuDeviceGetAttribute(int *v, int a, int d) {
    int c = number("FAKE_CAPABILITY", 86);
    *v = a == 75 ? c / 10 : c % 10;
    return 0;
}
int cuDeviceTotalMem_v2(size_t *n, int d) {
    *n = (size_t)number("FAKE_GIB", 24) << 30;
    return 0;
}
int cuGetErrorString(int code, const char **s) {
    *s = code == 100 ? "no CUDA-capable device is detected" : "unknown error";
    return 0;
}
/* what MindSpore's GPU plugin binds when it is loaded */
int cuGetErrorName(void) { return 100; }
int cuLaunchKernel(void) { return 100; }
int cuModuleGetFunction(void) { return 100; }
int cuModuleLoadDataEx(void) { return 100; }
int cuModuleUnload(void) { return 100; }
int cuStreamSynchronize(void) { return 100; }
