/*
 * Which pages of a buffer have a wrong checksum: backup_core/postgres/page.py, compiled.
 *
 * The algorithm is PostgreSQL's (src/include/storage/checksum_impl.h): 32 hashes side by side over
 * the words of a page, folded, mixed with the block number. One 128-byte row of a page is one
 * iteration of the inner loop, which compilers turn into vector instructions; where the loader can
 * choose between several builds of a function, one for newer processors is added.
 *
 * Optional: without a compiler the package installs all the same and page.py uses numpy.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define LANES 32
#define ROW (LANES * sizeof(uint32_t))
#define PRIME 16777619u
#define UPPER_AT 14
#define CHECKSUM_AT 8

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

static const uint32_t seeds[LANES] = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

/* The checksum of a page of `size` bytes as if its own field held zero. */
FOR_EACH_PROCESSOR
static uint32_t checksum(const unsigned char *page, Py_ssize_t size, uint32_t block)
{
    uint32_t state[LANES], row[LANES], folded = 0;
    memcpy(state, seeds, sizeof state);
    for (Py_ssize_t at = 0; at < size; at += ROW) {
        memcpy(row, page + at, ROW);
        if (at == 0)
            memset((unsigned char *)row + CHECKSUM_AT, 0, sizeof(uint16_t));
        for (int lane = 0; lane < LANES; lane++) {
            uint32_t mixed = state[lane] ^ row[lane];
            state[lane] = mixed * PRIME ^ mixed >> 17;
        }
    }
    for (int zeros = 0; zeros < 2; zeros++)
        for (int lane = 0; lane < LANES; lane++)
            state[lane] = state[lane] * PRIME ^ state[lane] >> 17;
    for (int lane = 0; lane < LANES; lane++)
        folded ^= state[lane];
    return (folded ^ block) % 65535 + 1;
}

static int is_bad(const unsigned char *page, Py_ssize_t size, uint32_t block)
{
    uint16_t upper, stored;
    memcpy(&upper, page + UPPER_AT, sizeof upper);
    memcpy(&stored, page + CHECKSUM_AT, sizeof stored);
    return upper != 0 && checksum(page, size, block) != stored;
}

/* Number the bad pages in `found`, which has room for all; return how many there are. */
static Py_ssize_t find_bad(const unsigned char *data, Py_ssize_t pages, Py_ssize_t size,
                           uint32_t first, Py_ssize_t *found)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t page = 0; page < pages; page++)
        if (is_bad(data + page * size, size, first + (uint32_t)page))
            found[count++] = page;
    return count;
}

static PyObject *as_list(const Py_ssize_t *numbers, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *number = PyLong_FromSsize_t(numbers[i]);
        if (number == NULL)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, i, number);
    }
    return list;
}

static PyObject *wrong_pages(PyObject *module, PyObject *args)
{
    Py_buffer data;
    unsigned int first;
    Py_ssize_t size;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*In", &data, &first, &size))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t pages = size > 0 ? data.len / size : 0;
    Py_ssize_t *found = PyMem_Malloc((size_t)(pages + 1) * sizeof *found);
    if (size < (Py_ssize_t)ROW || size % (Py_ssize_t)ROW || data.len % size) {
        PyErr_SetString(PyExc_ValueError, "the buffer does not hold whole pages");
    } else if (found == NULL) {
        PyErr_NoMemory();
    } else {
        Py_ssize_t count;
        Py_BEGIN_ALLOW_THREADS
        count = find_bad(data.buf, pages, size, first, found);
        Py_END_ALLOW_THREADS
        result = as_list(found, count);
    }
    PyMem_Free(found);
    PyBuffer_Release(&data);
    return result;
}

static PyMethodDef methods[] = {
    {"wrong_pages", wrong_pages, METH_VARARGS,
     "wrong_pages(data, first_block, block_size): the numbers of pages whose checksum is wrong."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_pagesum", "Page checksums, compiled.", 0, methods, NULL, NULL, NULL,
    NULL};

PyMODINIT_FUNC PyInit__pagesum(void)
{
    return PyModuleDef_Init(&definition);
}
