/* Translates source ids, which end with 3, to the ids of the best target and its score: FILE ID ...
   FILE is an exported model.tflite. The program uses LiteRT's C API in libLiteRt.so of the Python
   package ai-edge-litert 2.3. The package has no headers, so the functions are declared here. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOAT32 = 1, INT32 = 2, CPU = 1, HOST_MEMORY = 1, READ = 0, WRITE = 1 }; /* LiteRT's */

typedef void *Handle; /* an object of the API */
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
static const int32_t beam_size = 4, num_hypotheses = 1, min_length = 0, max_length = MAX_LENGTH;
static const float length_penalty = 0.6f, length_offset = 5;

static void fail(const char *where, const char *expected, const char *actual) {
  fprintf(stderr, "%s: expected %s, got %s\n", where, expected, actual);
  exit(1);
}

static void check(int status, const char *where) {
  char actual[32];
  snprintf(actual, sizeof actual, "%d", status);
  if (status) fail(where, "the status 0 of LiteRT", actual);
}

static Handle create_buffer(Handle environment, Type type, const void *content, size_t bytes) {
  Handle buffer;
  void *memory;
  check(LiteRtCreateManagedTensorBuffer(environment, HOST_MEMORY, &type, bytes, &buffer), "memory");
  check(LiteRtLockTensorBuffer(buffer, &memory, WRITE), "memory");
  content ? memcpy(memory, content, bytes) : memset(memory, 0xff, bytes);
  check(LiteRtUnlockTensorBuffer(buffer), "memory");
  return buffer;
}

static size_t find_signature(Handle model, const char *expected, Handle *signature) {
  const char *name;
  for (size_t i = 0;; i++) {
    if (LiteRtGetModelSignature(model, i, signature)) fail("signatures", expected, "others");
    check(LiteRtGetSignatureKey(*signature, &name), "signatures");
    if (!strcmp(name, expected)) return i;
  }
}

/* Creates buffers of one row of source ids and of its options, in the order of the file. */
static void create_inputs(Handle environment, Handle compiled, size_t number, Handle signature,
                          size_t num_inputs, const int32_t *ids, int32_t count, Handle *inputs) {
  const struct {
    const char *name;
    int element;
    const void *content;
  } known[TENSORS] = {{"ids", INT32, ids}, {"lengths", INT32, &count},
                      {"beam_size", INT32, &beam_size}, {"num_hypotheses", INT32, &num_hypotheses},
                      {"min_length", INT32, &min_length}, {"max_length", INT32, &max_length},
                      {"length_penalty", FLOAT32, &length_penalty},
                      {"length_offset", FLOAT32, &length_offset}};
  for (size_t i = 0; i < num_inputs; i++) {
    const char *name;
    size_t k = 0;
    check(LiteRtGetSignatureInputName(signature, i, &name), "inputs");
    while (k < TENSORS && strcmp(name, known[k].name)) k++;
    if (k == TENSORS) fail("inputs", "ids, lengths and options", name);
    Layout matrix = {2, false, {1, count}, {0}}, vector = {1, false, {1}, {0}};
    Layout layout = k ? vector : matrix;
    check(LiteRtCompiledModelResizeInputTensor(compiled, number, i, layout.sizes, layout.rank),
          name);
    size_t bytes = k ? 4 : 4 * (size_t)count;
    Type type = {known[k].element, layout};
    inputs[i] = create_buffer(environment, type, known[k].content, bytes);
  }
}

static void print_outputs(Handle signature, Handle *outputs, size_t count) {
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
  bool complete = ids && length && score && *length >= 0 && *length <= max_length && *ids >= 0;
  if (!complete) fail("outputs", "ids, lengths and score", "none");
  for (int32_t i = 0; i < *length; i++) printf("%s%d", i ? " " : "", ids[i]);
  printf("\n%.6f\n", *score);
}

static void translate(const char *path, const int32_t *ids, int32_t count) {
  Handle environment, model, options, compiled, signature, inputs[TENSORS], outputs[TENSORS];
  size_t num_inputs, num_outputs;
  check(LiteRtCreateEnvironment(0, NULL, &environment), "LiteRT");
  check(LiteRtCreateModelFromFile(environment, path, &model), path);
  check(LiteRtCreateOptions(&options), "LiteRT");
  check(LiteRtSetOptionsHardwareAccelerators(options, CPU), "LiteRT");
  check(LiteRtCreateCompiledModel(environment, model, options, &compiled), path);
  size_t number = find_signature(model, "translate_ids", &signature);
  check(LiteRtGetNumSignatureInputs(signature, &num_inputs), path);
  check(LiteRtGetNumSignatureOutputs(signature, &num_outputs), path);
  if (num_inputs > TENSORS || num_outputs > TENSORS)
    fail(path, "8 inputs and outputs", "those of a copying model");
  create_inputs(environment, compiled, number, signature, num_inputs, ids, count, inputs);
  /* The size of an output is known after the run, and LiteRT may write beyond a smaller buffer. So
     each buffer fits the largest output, the alignment [1, 1, T, S]. Its bytes start as 0xff, so
     that elements which are not written are negative. */
  int32_t size = num_hypotheses * (max_length + 1) * count;
  Type type = {INT32, {1, false, {size}, {0}}};
  for (size_t i = 0; i < num_outputs; i++)
    outputs[i] = create_buffer(environment, type, NULL, 4 * size);
  check(LiteRtRunCompiledModel(compiled, number, num_inputs, inputs, num_outputs, outputs),
        "translate_ids");
  print_outputs(signature, outputs, num_outputs); /* the process ends and frees all memory */
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
