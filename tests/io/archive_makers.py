"""Zips, tars, folders and split zips for the tests, made from names and bytes."""

import io
import struct
import tarfile
import zipfile

from audioprep.io.archives import Place, open_members

FILES = {"meta/list.csv": b"file,label\na.wav,dog\n", "audio/a.wav": b"A" * 3000, "audio/b.wav": b"B" * 10}
# Bytes that cannot be compressed.
NOISE = bytes((7 * i * i + i // 251) % 251 for i in range(3000))


def opened(path, work, **values):
    """Return the members of one archive or folder."""
    return open_members([Place((str(path),), **values)], work)


def contents(members):
    """Return all members with their bytes."""
    return {name: members.read(name) for name in members.names()}


def zip_bytes(files, compression=zipfile.ZIP_DEFLATED):
    """Return a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def write_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    path.write_bytes(zip_bytes(files, compression))
    return path


def write_tar(path, files):
    mode = {"gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(path.suffix[1:], "w")
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_folder(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


ARCHIVE_WRITERS = {
    "a.zip": write_zip,
    "a.tar": write_tar,
    "a.tar.gz": write_tar,
    "a.tar.bz2": write_tar,
    "a.tar.xz": write_tar,
}
WRITERS = ARCHIVE_WRITERS | {"folder": write_folder}


def write_pieces(path, data, cuts):
    """Write bytes as pieces that follow each other, and return their paths."""
    edges = [0, *sorted(cuts), len(data)]
    paths = [path.with_name(f"{path.name}.{number:03d}") for number in range(1, len(edges))]
    for piece, start, end in zip(paths, edges[:-1], edges[1:], strict=True):
        piece.write_bytes(data[start:end])
    return paths


def split_zip(data, volume_bytes, *, zip64=False):
    """Return the volumes of a split zip: a plain zip's bytes behind a marker, cut, and its directory counted anew.

    With `zip64` every number of the directory that can stand in a 64-bit field does.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos, directory_at = archive.infolist(), archive.start_dir
    body = b"PK\x07\x08" + data[:directory_at]
    directory = b""
    for info in infos:
        disk, start = divmod(info.header_offset + 4, volume_bytes)
        name, extra = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437"), b""
        sizes = [info.file_size, info.compress_size, start]
        if zip64:
            extra = struct.pack("<HH", 0x5455, 1) + b"t" + struct.pack("<HH3QL", 1, 28, *sizes, disk)
            sizes, disk = [0xFFFFFFFF] * 3, 0xFFFF
        head = (b"PK\x01\x02", 45, 45, info.flag_bits, info.compress_type, 0, 0, info.CRC, sizes[1], sizes[0])
        directory += struct.pack("<4s6H3L", *head)
        directory += struct.pack("<5H2L", len(name), len(extra), 2, disk, 0, 0, sizes[2]) + name + extra + b"hi"
    directory_disk, directory_start = divmod(len(body), volume_bytes)
    body += directory
    end_disk, end_start = divmod(len(body), volume_bytes)
    num_disks = -(-(len(body) + 22 + (76 if zip64 else 0)) // volume_bytes)
    disks, numbers = [num_disks - 1, directory_disk], [len(infos), len(infos), len(directory), directory_start]
    if zip64:
        body += struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, *disks, *numbers)
        body += struct.pack("<4sLQL", b"PK\x06\x07", end_disk, end_start, num_disks)
        disks, numbers = [0xFFFF, 0xFFFF], [0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF]
    body += struct.pack("<4s4HLLH", b"PK\x05\x06", *disks, *numbers, 0)
    return [body[at : at + volume_bytes] for at in range(0, len(body), volume_bytes)]


def write_volumes(path, volumes):
    """Write the volumes of `path`, which ends in `.zip`, and return their paths."""
    paths = [path.with_suffix(f".z{number:02d}") for number in range(1, len(volumes))] + [path]
    for volume_path, volume in zip(paths, volumes, strict=True):
        volume_path.write_bytes(volume)
    return paths


def place_of(paths, **values):
    return Place(tuple(map(str, paths)), **values)
