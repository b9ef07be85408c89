"""What setup.cfg cannot say: an extension for page checksums, built where there is a compiler."""

from setuptools import Extension, setup

PAGE_CHECKSUMS = Extension(
    "backup_core.postgres._pagesum",
    ["backup_core/postgres/pagesum.c"],
    extra_compile_args=["-O3"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    py_limited_api=True,
    optional=True,
)

setup(ext_modules=[PAGE_CHECKSUMS])
