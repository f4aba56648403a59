"""Makes Debian's Python behave like one that was compiled for /usr/local: packages live in site-packages."""
import compileall
import pathlib
import re
import shutil

lib = pathlib.Path("/usr/local/lib/python3.11")


def edit(name, pattern, replacement):
    """Replaces what the pattern finds; finding nothing means that Debian has changed it, and somebody must look."""
    path = lib / name
    text, count = re.subn(pattern, lambda _: replacement, path.read_text())
    if count == 0:
        raise SystemExit(f"{path}: nothing matches {pattern!r}")
    path.write_text(text)


# Where pip installs to.
edit("sysconfig.py", r"prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'")
edit("sysconfig.py", r"os\.environ\.get\('DEB_PYTHON_INSTALL_LAYOUT', 'posix_local'\)", "None")
# What setuptools asks about Debian's ways: to treat every installation as it treats one in a virtual environment.
edit("_distutils_system_mod.py", r"return sys\.base_prefix != sys\.prefix or .*", "return True")

# Debian's own conventions, of no use outside of its packages. EXTERNALLY-MANAGED would make pip refuse to install.
for name in ("EXTERNALLY-MANAGED", "sitecustomize.py"):
    (lib / name).unlink(missing_ok=True)
shutil.rmtree(lib / "test", ignore_errors=True)

# Where imports look. The module `site` is frozen into the program and looks in dist-packages, so that is the same
# place; what it says about it is put right by a module of our own.
packages = lib / "site-packages"
packages.mkdir()
shutil.rmtree(lib / "dist-packages", ignore_errors=True)
(lib / "dist-packages").symlink_to(packages.name)
(lib / "_standin_paths.py").write_text('''\
"""Lets site and sys.path name site-packages. Loaded by site-packages/_standin_paths.pth."""
import os
import site
import sys


def getsitepackages(prefixes=None):
    version = "python%d.%d" % sys.version_info[:2]
    unique = dict.fromkeys(p for p in (prefixes or site.PREFIXES) if p)
    return [os.path.join(prefix, sys.platlibdir, version, "site-packages") for prefix in unique]


site.getsitepackages = getsitepackages
_debian = os.path.join(sys.base_prefix, "lib", "python%d.%d" % sys.version_info[:2], "dist-packages")
if _debian in sys.path:
    sys.path[sys.path.index(_debian)] = getsitepackages([sys.base_prefix])[0]
''')
(packages / "_standin_paths.pth").write_text("import _standin_paths\n")

# Without its compiled form every start of a program would compile the library again.
compileall.compile_dir(lib, quiet=1, workers=0)
