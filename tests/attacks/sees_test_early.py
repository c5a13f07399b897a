import builtins

MEM = builtins.__dict__.setdefault("_atk", {})


class Early(Nearest):
    """How many rows it has already seen that are not in this Xt: the test rows, before fit."""

    def fit(self, task):
        self.n_classes_ = task.n_classes
        self.seed_ = task.seed
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        seen = MEM.setdefault("early", {})
        old = seen.get(task.seed)
        self.certificate_ = {"test_rows_known_before_fit": float(len(old)) if old is not None else 0.0}
        self.old_ = old
        return self

    def predict(self, X, A=None):
        if not getattr(self, "done_", 0):
            MEM["early"][self.seed_] = X.clone()
            self.done_ = 1
        return self.model_.predict(X)
