/* Source ids, the end 3 the last, to the ids of the best target and its score: FILE ID ...
   FILE is an exported model.tflite. It is run by LiteRT's C API, by libLiteRt.so of the Python
   package ai-edge-litert 2.3; that brings no headers, so what is called is declared here. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOAT32 = 1, INT32 = 2, CPU = 1, HOST_MEMORY = 1, READ = 0, WRITE = 1 }; /* LiteRT's */

typedef void *Handle; /* each of the API's objects */
typedef struct {
  unsigned int rank : 7;
  bool has_strides : 1;
  int32_t sizes[8];
  uint32_t strides[8];
} Layout;
typedef struct {
  int element;
  Layout layout;
} Type;

int LiteRtCreateEnvironment(int count, const void *options, Handle *environment);
int LiteRtCreateModelFromFile(Handle environment, const char *path, Handle *model);
int LiteRtCreateOptions(Handle *options);
int LiteRtSetOptionsHardwareAccelerators(Handle options, int hardware);
int LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle *compiled);
int LiteRtGetModelSignature(Handle model, size_t number, Handle *signature);
int LiteRtGetSignatureKey(Handle signature, const char **name);
int LiteRtGetNumSignatureInputs(Handle signature, size_t *count);
int LiteRtGetNumSignatureOutputs(Handle signature, size_t *count);
int LiteRtGetSignatureInputName(Handle signature, size_t number, const char **name);
int LiteRtGetSignatureOutputName(Handle signature, size_t number, const char **name);
int LiteRtCompiledModelResizeInputTensor(Handle, size_t, size_t, const int32_t *sizes, size_t rank);
int LiteRtCreateManagedTensorBuffer(Handle environment, int memory, const Type *, size_t, Handle *);
int LiteRtLockTensorBuffer(Handle buffer, void **content, int mode);
int LiteRtUnlockTensorBuffer(Handle buffer);
int LiteRtRunCompiledModel(Handle, size_t, size_t inputs, Handle *, size_t outputs, Handle *);

enum { MAX_LENGTH = 100, TENSORS = 8 };
static const int32_t beam = 4, hypotheses = 1, least = 0, most = MAX_LENGTH;
static const float penalty = 0.6f, offset = 5;

static void fail(const char *where, const char *expected, const char *came) {
  fprintf(stderr, "%s: expected %s, came %s\n", where, expected, came);
  exit(1);
}

static void check(int status, const char *where) {
  char came[32];
  snprintf(came, sizeof came, "%d", status);
  if (status) fail(where, "the status 0 of LiteRT", came);
}

static Handle buffer(Handle environment, Type type, const void *content, size_t bytes) {
  Handle made;
  void *memory;
  check(LiteRtCreateManagedTensorBuffer(environment, HOST_MEMORY, &type, bytes, &made), "memory");
  check(LiteRtLockTensorBuffer(made, &memory, WRITE), "memory");
  content ? memcpy(memory, content, bytes) : memset(memory, 0xff, bytes);
  check(LiteRtUnlockTensorBuffer(made), "memory");
  return made;
}

static size_t find(Handle model, const char *wanted, Handle *signature) {
  const char *name;
  for (size_t i = 0;; i++) {
    if (LiteRtGetModelSignature(model, i, signature)) fail("signatures", wanted, "others");
    check(LiteRtGetSignatureKey(*signature, &name), "signatures");
    if (!strcmp(name, wanted)) return i;
  }
}

/* One row of source ids, and its options, in the order in which the file has them. */
static void fill(Handle environment, Handle compiled, size_t number, Handle signature,
                 size_t taken, const int32_t *ids, int32_t count, Handle *made) {
  const struct {
    const char *name;
    int element;
    const void *content;
  } known[TENSORS] = {{"ids", INT32, ids}, {"lengths", INT32, &count},
                      {"beam_size", INT32, &beam}, {"num_hypotheses", INT32, &hypotheses},
                      {"min_length", INT32, &least}, {"max_length", INT32, &most},
                      {"length_penalty", FLOAT32, &penalty}, {"length_offset", FLOAT32, &offset}};
  for (size_t i = 0; i < taken; i++) {
    const char *name;
    size_t k = 0;
    check(LiteRtGetSignatureInputName(signature, i, &name), "inputs");
    while (k < TENSORS && strcmp(name, known[k].name)) k++;
    if (k == TENSORS) fail("inputs", "ids, lengths and options", name);
    Layout all = {2, false, {1, count}, {0}}, one = {1, false, {1}, {0}}, form = k ? one : all;
    check(LiteRtCompiledModelResizeInputTensor(compiled, number, i, form.sizes, form.rank), name);
    size_t bytes = k ? 4 : 4 * (size_t)count;
    made[i] = buffer(environment, (Type){known[k].element, form}, known[k].content, bytes);
  }
}

static void show(Handle signature, Handle *outputs, size_t count) {
  const int32_t *ids = NULL, *length = NULL;
  const float *score = NULL;
  for (size_t i = 0; i < count; i++) {
    const char *name;
    void *content;
    check(LiteRtGetSignatureOutputName(signature, i, &name), "outputs");
    check(LiteRtLockTensorBuffer(outputs[i], &content, READ), name);
    if (!strcmp(name, "ids")) ids = content;
    if (!strcmp(name, "lengths")) length = content;
    if (!strcmp(name, "score")) score = content;
  }
  bool written = ids && length && score && *length >= 0 && *length <= most && *ids >= 0;
  if (!written) fail("outputs", "ids, lengths and score", "none");
  for (int32_t i = 0; i < *length; i++) printf("%s%d", i ? " " : "", ids[i]);
  printf("\n%.6f\n", *score);
}

static void translate(const char *path, const int32_t *ids, int32_t count) {
  Handle environment, model, options, compiled, signature, inputs[TENSORS], outputs[TENSORS];
  size_t taken, given;
  check(LiteRtCreateEnvironment(0, NULL, &environment), "LiteRT");
  check(LiteRtCreateModelFromFile(environment, path, &model), path);
  check(LiteRtCreateOptions(&options), "LiteRT");
  check(LiteRtSetOptionsHardwareAccelerators(options, CPU), "LiteRT");
  check(LiteRtCreateCompiledModel(environment, model, options, &compiled), path);
  size_t number = find(model, "translate_ids", &signature);
  check(LiteRtGetNumSignatureInputs(signature, &taken), path);
  check(LiteRtGetNumSignatureOutputs(signature, &given), path);
  if (taken > TENSORS || given > TENSORS) fail(path, "8 inputs and outputs", "a copying model's");
  fill(environment, compiled, number, signature, taken, ids, count, inputs);
  /* LiteRT learns the size of an output as it runs, and may write beyond a buffer too small: each
     has room for the largest, the alignment [1, 1, T, S]. What is not written stays negative. */
  int32_t room = hypotheses * (most + 1) * count;
  Type type = {INT32, {1, false, {room}, {0}}};
  for (size_t i = 0; i < given; i++) outputs[i] = buffer(environment, type, NULL, 4 * room);
  check(LiteRtRunCompiledModel(compiled, number, taken, inputs, given, outputs), "translate_ids");
  show(signature, outputs, given); /* and the end of the process frees all */
}

int main(int count, char **words) {
  if (count < 3) fail("arguments", "FILE ID ...", count < 2 ? "none" : "no id");
  int32_t ids[count];
  for (int i = 2; i < count; i++) {
    char *rest;
    long id = strtol(words[i], &rest, 10);
    if (*rest || rest == words[i] || id < 0 || id > INT32_MAX) fail("ID", "a number", words[i]);
    ids[i - 2] = (int32_t)id;
  }
  translate(words[1], ids, count - 2);
}
