/* Ids to ids by a LiteRT file of `keras-s2s export --format litert`, through LiteRT's C interface.

       cc translate.c -o translate -L DIRECTORY -Wl,-rpath,DIRECTORY -l:libLiteRt.so
       ./translate model.tflite 5 100 17 204 9 3

   DIRECTORY holds libLiteRt.so, which the package ai-edge-litert has; then beam size, most target
   tokens, and the ids of the source, the end (3) with them. Prints the score and the ids found.

   The length of an output is known only when the search is over, and LiteRT writes it into whatever
   buffer it was given, however small: give it room for `max_length` tokens. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What this program needs of LiteRT's C headers, version 2. */
typedef void *Handle;
typedef struct {
  unsigned int rank : 7;
  bool has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
} Layout;
typedef struct {
  int element_type;
  Layout layout;
} TensorType;

int LiteRtCreateEnvironment(int, const void *, Handle *);
int LiteRtCreateModelFromFile(Handle, const char *, Handle *);
int LiteRtCreateOptions(Handle *);
int LiteRtSetOptionsHardwareAccelerators(Handle, int);
int LiteRtCreateCompiledModel(Handle, Handle, Handle, Handle *);
int LiteRtGetNumModelSignatures(Handle, size_t *);
int LiteRtGetModelSignature(Handle, size_t, Handle *);
int LiteRtGetSignatureKey(Handle, const char **);
int LiteRtGetNumSignatureInputs(Handle, size_t *);
int LiteRtGetNumSignatureOutputs(Handle, size_t *);
int LiteRtGetSignatureInputName(Handle, size_t, const char **);
int LiteRtGetSignatureOutputName(Handle, size_t, const char **);
int LiteRtGetSignatureInputTensorByIndex(Handle, size_t, Handle *);
int LiteRtGetSignatureOutputTensorByIndex(Handle, size_t, Handle *);
int LiteRtGetRankedTensorType(Handle, TensorType *);
int LiteRtCompiledModelResizeInputTensor(Handle, size_t, size_t, const int *, size_t);
int LiteRtCreateManagedTensorBuffer(Handle, int, const TensorType *, size_t, Handle *);
int LiteRtLockTensorBuffer(Handle, void **, int);
int LiteRtUnlockTensorBuffer(Handle);
int LiteRtRunCompiledModel(Handle, size_t, size_t, Handle *, size_t, Handle *);

enum { CPU = 1, HOST_MEMORY = 1, READ = 0, WRITE = 1, MOST = 16 };

static void fail(const char *what, const char *came) {
  fprintf(stderr, "%s %s\n", what, came);
  exit(1);
}

static void check(int status, const char *what) {
  if (status != 0) fail("LiteRT refused", what);
}

/* The index of a signature of a model, and its handle. */
static size_t find_signature(Handle model, const char *name, Handle *signature) {
  size_t count;
  const char *key;
  check(LiteRtGetNumModelSignatures(model, &count), "signatures");
  for (size_t i = 0; i < count; i++) {
    check(LiteRtGetModelSignature(model, i, signature), "signatures");
    check(LiteRtGetSignatureKey(*signature, &key), "signatures");
    if (strcmp(key, name) == 0) return i;
  }
  fail("model: came no signature", name);
  return 0;
}

/* A buffer for a tensor of a shape, with room for its numbers of 4 bytes or fewer. */
static Handle make_buffer(Handle environment, Handle tensor, const int *shape, const void *data) {
  TensorType type;
  Handle buffer;
  size_t count = 1;
  check(LiteRtGetRankedTensorType(tensor, &type), "type");
  for (unsigned i = 0; i < type.layout.rank; i++) {
    type.layout.dimensions[i] = shape[i];
    count *= shape[i];
  }
  check(LiteRtCreateManagedTensorBuffer(environment, HOST_MEMORY, &type, 4 * count, &buffer),
        "buffer");
  if (data) {
    void *memory;
    check(LiteRtLockTensorBuffer(buffer, &memory, WRITE), "buffer");
    memcpy(memory, data, 4 * count);
    check(LiteRtUnlockTensorBuffer(buffer), "buffer");
  }
  return buffer;
}

static const void *contents(Handle buffer) {
  void *memory;
  check(LiteRtLockTensorBuffer(buffer, &memory, READ), "buffer");
  return memory;
}

typedef struct {
  Handle environment, model, compiled, signature;
  size_t index;
} Program;

static Program load(const char *path) {
  Program p;
  Handle options;
  check(LiteRtCreateEnvironment(0, NULL, &p.environment), "environment");
  check(LiteRtCreateModelFromFile(p.environment, path, &p.model), path);
  check(LiteRtCreateOptions(&options), "options");
  check(LiteRtSetOptionsHardwareAccelerators(options, CPU), "options");
  check(LiteRtCreateCompiledModel(p.environment, p.model, options, &p.compiled), path);
  p.index = find_signature(p.model, "translate_ids", &p.signature);
  return p;
}

typedef struct {
  const char *name;
  const void *data;
  int width; /* of [1, width]; 0 for [1] */
} Input;

static size_t give(Program p, const Input *given, size_t count, Handle *buffers) {
  size_t inputs;
  const char *name;
  Handle tensor;
  check(LiteRtGetNumSignatureInputs(p.signature, &inputs), "inputs");
  for (size_t i = 0; i < inputs && i < MOST; i++) {
    check(LiteRtGetSignatureInputName(p.signature, i, &name), "inputs");
    check(LiteRtGetSignatureInputTensorByIndex(p.signature, i, &tensor), name);
    buffers[i] = NULL;
    for (size_t k = 0; k < count; k++) {
      if (strcmp(name, given[k].name) != 0) continue;
      int shape[] = {1, given[k].width}, rank = given[k].width ? 2 : 1;
      check(LiteRtCompiledModelResizeInputTensor(p.compiled, p.index, i, shape, rank), name);
      buffers[i] = make_buffer(p.environment, tensor, shape, given[k].data);
    }
    if (!buffers[i]) fail("model: expected no input beside this program's, came", name);
  }
  return inputs;
}

static size_t make_outputs(Program p, const int *shape, Handle *buffers, const char **names) {
  size_t outputs;
  Handle tensor;
  check(LiteRtGetNumSignatureOutputs(p.signature, &outputs), "outputs");
  for (size_t i = 0; i < outputs && i < MOST; i++) {
    check(LiteRtGetSignatureOutputName(p.signature, i, &names[i]), "outputs");
    check(LiteRtGetSignatureOutputTensorByIndex(p.signature, i, &tensor), names[i]);
    buffers[i] = make_buffer(p.environment, tensor, shape, NULL);
  }
  return outputs;
}

static const void *of_name(const char *name, size_t count, Handle *buffers, const char **names) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) return contents(buffers[i]);
  fail("model: came no output", name);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: translate MODEL BEAM_SIZE MAX_LENGTH ID...\n");
    return 2;
  }
  int beam = atoi(argv[2]), most = atoi(argv[3]), length = argc - 4, one = 1, none = 0;
  if (most < 1 || most > 10000) fail("MAX_LENGTH: expected 1 to 10000, came", argv[3]);
  float penalty = 0.6f, offset = 5.0f;
  int32_t *ids = malloc(sizeof(int32_t) * length);
  for (int i = 0; i < length; i++) ids[i] = atoi(argv[4 + i]);

  const Input given[] = {
      {"ids", ids, length},    {"lengths", &length, 0},        {"beam_size", &beam, 0},
      {"min_length", &none, 0}, {"max_length", &most, 0},       {"num_hypotheses", &one, 0},
      {"length_offset", &offset, 0}, {"length_penalty", &penalty, 0},
  };
  const int shape[] = {1, 1, most, length}; /* one text, its best hypothesis, tokens, sources */
  Handle in[MOST], out[MOST];
  const char *names[MOST];
  Program program = load(argv[1]);
  size_t inputs = give(program, given, sizeof given / sizeof *given, in);
  size_t outputs = make_outputs(program, shape, out, names);
  check(LiteRtRunCompiledModel(program.compiled, program.index, inputs, in, outputs, out), "a run");

  printf("%.6f", *(const float *)of_name("score", outputs, out, names));
  int count = *(const int32_t *)of_name("lengths", outputs, out, names);
  const int32_t *tokens = of_name("ids", outputs, out, names);
  for (int i = 0; i < count; i++) printf(" %d", tokens[i]);
  printf("\n");
  return 0;
}
