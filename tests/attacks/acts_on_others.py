import contextlib
import fcntl
import os
import resource
import struct


class ActsOnOthers(Nearest):
    """Bounds, slows and reads other processes, the driver among them, and leaves locks for another fit to find."""

    def improve(self, task, honest):
        parent, found = os.getppid(), dict.fromkeys(("limit", "priority", "processor", "process", "news", "lock"), 0.0)
        with contextlib.suppress(OSError):  # a limit on the driver's files ended the run
            resource.prlimit(parent, resource.RLIMIT_CORE, (0, 0))
            found["limit"] = 1.0
        priority, processors = os.getpriority(os.PRIO_PROCESS, parent), os.sched_getaffinity(parent)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, parent, min(priority + 1, 19))
            os.sched_setaffinity(parent, {min(processors)})
        found["priority"] = float(os.getpriority(os.PRIO_PROCESS, parent) != priority)
        found["processor"] = float(os.sched_getaffinity(parent) != processors)
        for pid in {*range(1, 2000), parent} - {os.getpid()}:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline") as file:
                file.read()
                found["process"] += 1.0
        with open("/proc/self/oom_score_adj") as file:  # by which the system chooses whom to end
            found["outlives others"] = float(file.read() != "1000\n")
        found["news"] = float(self.hears())
        with open(__file__) as file:
            for action in (lambda: fcntl.flock(file, fcntl.LOCK_SH), lambda: fcntl.lockf(file, fcntl.LOCK_SH, 7, 3)):
                with contextlib.suppress(OSError):
                    action()
            found["lock"] = float(self.locked())
        self.certificate_ = found
        return honest

    @staticmethod
    def hears():
        """Whether it could learn of what others open."""
        import ctypes

        return ctypes.CDLL(None).inotify_init1(0) >= 0

    @staticmethod
    def locked():
        """Whether another process sees a lock of this one."""
        if (child := os.fork()) == 0:
            with open(__file__) as file:
                asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                os._exit(struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)
        return os.waitpid(child, 0)[1] != 0
