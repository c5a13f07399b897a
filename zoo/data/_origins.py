"""Where each data set is published, file by file, and what is known of the files beforehand.

A checksum stands here only where it was published or taken from the published file itself; "" says that none is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Check:
    """What has to be under a data set's folder: `count` files that match `pattern`; of one file a digest or a size."""

    pattern: str
    count: int = 1
    digest: str = ""
    size: int = 0

    def found(self, folder: Path) -> Iterator[Path]:
        """The files that match."""
        return (path for path in folder.glob(self.pattern) if path.is_file())


@dataclass(frozen=True)
class File:
    """One file as it is published.

    Attributes
    ----------
    name : where it goes under the data set's folder
    urls : its origins, in the order in which they are tried; without any it has to be got by hand
    digest : ``algorithm:hexdigest``, ``torchvision:NAME`` for the one that torchvision states, or ""
    holds : if it is an archive, what is wanted of it, beside which it lies until it is unpacked
    """

    name: str
    urls: tuple[str, ...] = ()
    digest: str = ""
    holds: tuple[Check, ...] = ()

    @property
    def checks(self) -> tuple[Check, ...]:
        """What is there in the end."""
        return self.holds or (Check(self.name, digest=self.digest),)

    @property
    def take(self) -> list[str]:
        """Files and folders to take out of it, wherever they lie in it."""
        beside = PurePosixPath(self.name).parent
        return list(dict.fromkeys(PurePosixPath(c.pattern).relative_to(beside).parts[0] for c in self.holds))


@dataclass(frozen=True)
class Origin:
    """The files of a data set, how much there is to download, and the page that leads to them for a person."""

    files: tuple[File, ...]
    size: str
    page: str


def digest(said: str) -> str:
    """``algorithm:hexdigest``, looked up in torchvision where it is torchvision's.

    >>> digest("torchvision:usps.bz2")
    'md5:ec16c51db3855ca6c91edd34d0e9b197'
    """
    source, _, name = said.partition(":")
    if source != "torchvision":
        return said
    from torchvision.datasets import MNIST, USPS

    return f"md5:{(dict(MNIST.resources) | {k: v for _, k, v in USPS.split_list.values()})[name]}"


def _each(pattern: str, **counts: int) -> tuple[Check, ...]:
    return tuple(Check(pattern.format(name), count) for name, count in counts.items())


def _mats(**digests: str) -> tuple[Check, ...]:
    return tuple(Check(f"{name}.mat", digest=f"sha256:{value}") for name, value in digests.items())


def _mnist(name: str, size: int) -> File:
    mirrors = "https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"
    urls = tuple(f"{mirror}{name}.gz" for mirror in mirrors)
    return File(f"MNIST/raw/{name}.gz", urls, f"torchvision:{name}.gz", (Check(f"MNIST/raw/{name}", size=size),))


def _usps(name: str) -> File:
    url = f"https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/{name}"
    return File(name, (url,), f"torchvision:{name}")


def _drive(id: str, key: str = "") -> str:
    key = f"&resourcekey={key}" if key else ""
    return f"https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t{key}"


def _bu(path: str) -> tuple[str, ...]:
    return tuple(f"{scheme}://csr.bu.edu/ftp/{path}" for scheme in ("https", "http"))


def _domainnet(domain: str) -> tuple[File, ...]:
    base, cleaned = "visda/2019/multi-source", "groundtruth/" if domain in ("clipart", "painting") else ""
    lists = [f"{domain}_{part}.txt" for part in ("train", "test")]
    images = File(f"{domain}.zip", _bu(f"{base}/{cleaned}{domain}.zip"), holds=_each("{}/*/*.*", **{domain: 0}))
    return (*(File(name, _bu(f"{base}/domainnet/txt/{name}")) for name in lists), images)


_SURF = _mats(
    Caltech10_SURF_L10="4f9334c8ced489d5054de97a5fd51a61f017f3bcd1f38c9a85c6d78cb9d7bda5",
    amazon_SURF_L10="df32548b994e18d364c99e1f317e1fae100597259f0423a41b90f4f68187bb1f",
    dslr_SURF_L10="44d673c68e1d07b837893aa74dba3b986e4a6cc3fd66f0dd357683bdef059216",
    webcam_SURF_L10="a6a9c78b4b7181dfbb58bcfd351d4ebd737f171c31247b8884948aa156d3f700",
)
_REVIEWS = _mats(
    books_400="7a53b54f0c0e81e7ee4774d762a927399cede9a802a2409732ba00cc1c23a17a",
    dvd_400="13a71d399f9c7ae57064952979c830455057ffd0a8da73f2c9075338d64d98ce",
    elec_400="f1dd6e01c1eed956d3abe6493a6bb5efc95e6585b8b9b2d856c0c07e12893a35",
    kitchen_400="b1f4e5ddfbd7b37ad2638fccbf83bd8558abf63b3e8d69a9d5bca77b1a49fed5",
)
_SPOKEN = _each("recordings/[0-9]_{}_*.wav", george=500, jackson=500, lucas=500, nicolas=500, theo=500, yweweler=500)
_OFFICE31 = _each("{}/images/*/*.jpg", amazon=2817, dslr=498, webcam=795)
_OFFICE_HOME = _each("{}/*/*.*", Art=2427, Clipart=4365, Product=4439, **{"Real World": 4357})
_PACS = _each("{}/*/*.*", photo=1670, art_painting=2048, cartoon=2344, sketch=3929)
_SURVEY = "https://github.com/jindongwang/transferlearning/blob/master/data/readme.md"

# By the data set's folder: digits and digits_framed share theirs.
ORIGINS = {
    "office_caltech": Origin(
        (File("GFK_v1.zip", ("http://www-scf.usc.edu/~boqinggo/domain_adaptation/GFK_v1.zip",), holds=_SURF),),
        "0.3 MB",
        _SURVEY,
    ),
    "amazon_reviews": Origin(tuple(File(c.pattern, digest=c.digest) for c in _REVIEWS), "1.3 MB", _SURVEY),
    "digits": Origin(
        (
            _mnist("train-images-idx3-ubyte", 16 + 60000 * 28 * 28),
            _mnist("train-labels-idx1-ubyte", 8 + 60000),
            _mnist("t10k-images-idx3-ubyte", 16 + 10000 * 28 * 28),
            _mnist("t10k-labels-idx1-ubyte", 8 + 10000),
            _usps("usps.bz2"),
            _usps("usps.t.bz2"),
        ),
        "20 MB",
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html",
    ),
    "fsdd": Origin(
        (
            File(
                "fsdd-1.0.10.tar.gz",
                ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",),
                holds=_SPOKEN,
            ),
        ),
        "15 MB",
        "https://github.com/Jakobovski/free-spoken-digit-dataset",
    ),
    "watch": Origin(
        (
            File(
                "watch_dataset.npy",
                tuple(
                    f"https://raw.githubusercontent.com/dmbee/seglearn/{at}/seglearn/data/watch_dataset.npy"
                    for at in ("master", "1.2.5")
                ),
                "sha256:eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537",
            ),
        ),
        "18 MB",
        "https://github.com/dmbee/seglearn",
    ),
    "office31": Origin(
        (
            File(
                "domain_adaptation_images.tar.gz",
                (_drive("0B4IapRTv9pJ1WGZVd1VDMmhwdlE", "0-gNMHVtZfRAyO_t2_WrOunA"),),
                "md5:1b536d114869a5a8aa4580b89e9758fb",
                _OFFICE31,
            ),
        ),
        "about 80 MB",
        "https://faculty.cc.gatech.edu/~judy/domainadapt",
    ),
    "office_home": Origin(
        (
            File(
                "OfficeHomeDataset_10072016.zip",
                (
                    _drive("1uY0pj7oFsjMxRwaD3Sxy0jgel0fsYXLC"),
                    _drive("0B81rNlvomiwed0V1YUxQdC1uOTg", "0-2SNWq0CDAuWOBRRBL7ZZsw"),
                ),
                "md5:b1c14819770c4448fd5b6d931031c91c",
                _OFFICE_HOME,
            ),
        ),
        "1.1 GB",
        "https://www.hemanthdv.org/officeHomeDataset.html",
    ),
    "pacs": Origin(
        (File("PACS.zip", holds=_PACS),),
        "about 0.2 GB",
        "https://drive.google.com/drive/folders/0B6x7gtvErXgfUU1WcGY5SzdwZVk?resourcekey=0-2fvpQY_QSyJf2uIECzqPuQ",
    ),
    "visda2017": Origin(
        (
            File("train.tar", _bu("visda17/clf/train.tar"), holds=_each("{}/*/*.*", train=152397)),
            File("validation.tar", _bu("visda17/clf/validation.tar"), holds=_each("{}/*/*.*", validation=55388)),
        ),
        "10.5 GB",
        "https://ai.bu.edu/visda-2017",
    ),
    "domainnet": Origin(
        tuple(
            file
            for domain in ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
            for file in _domainnet(domain)
        ),
        "17.5 GB",
        "https://ai.bu.edu/M3SDA",
    ),
    "airports": Origin(
        tuple(
            File(name, (f"https://raw.githubusercontent.com/leoribeiro/struc2vec/master/graph/{name}",))
            for region in ("brazil", "europe", "usa")
            for name in (f"{region}-airports.edgelist", f"labels-{region}-airports.txt")
        ),
        "0.2 MB",
        "https://github.com/leoribeiro/struc2vec",
    ),
    "citation": Origin(
        tuple(
            File(
                f"{name}.mat",
                (f"https://raw.githubusercontent.com/shenxiaocam/ACDNE/master/ACDNE_codes/input/{name}.mat",),
            )
            for name in ("acmv9", "dblpv7")
        ),
        "2 MB",
        "https://github.com/shenxiaocam/ACDNE",
    ),
    "relational": Origin(
        tuple(
            File(f"{name}.zip", holds=(Check(f"{name}/fold*/facts.txt", folds),))
            for name, folds in {"imdb": 5, "uwcse": 5, "cora": 5, "twitter": 2, "yeast": 4}.items()
        ),
        "5 MB",
        "https://github.com/ThaisLuca/TreeBoostler",
    ),
}
