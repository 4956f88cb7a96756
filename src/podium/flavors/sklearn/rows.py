"""Which scikit-learn estimators answer row by row: the same row gives the same answer whoever stands beside it.

Only what is on the list is known. Pipelines and the like are known when each of their steps is; an estimator of a third
party, or one given a function of the user's, is not. The worker probes the model at load before it relies on this.
"""

from collections.abc import Iterator
from typing import Any

from podium.flavors.contract import RowIndependence

# Estimators whose predict, predict_proba, transform and so on look at one row at a time.
_ROW_BY_ROW = frozenset(
    """
    ARDRegression BayesianRidge ElasticNet ElasticNetCV GammaRegressor HuberRegressor Lars LarsCV Lasso LassoCV
    LassoLars LassoLarsCV LassoLarsIC LinearRegression LogisticRegression LogisticRegressionCV MultiTaskElasticNet
    MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV
    PassiveAggressiveClassifier PassiveAggressiveRegressor Perceptron PoissonRegressor QuantileRegressor Ridge RidgeCV
    RidgeClassifier RidgeClassifierCV SGDClassifier SGDOneClassSVM SGDRegressor TheilSenRegressor TweedieRegressor
    LinearSVC LinearSVR NuSVC NuSVR OneClassSVM SVC SVR KernelRidge DecisionTreeClassifier DecisionTreeRegressor
    ExtraTreeClassifier ExtraTreeRegressor ExtraTreesClassifier ExtraTreesRegressor GradientBoostingClassifier
    GradientBoostingRegressor HistGradientBoostingClassifier HistGradientBoostingRegressor IsolationForest
    RandomForestClassifier RandomForestRegressor RandomTreesEmbedding KNeighborsClassifier KNeighborsRegressor
    RadiusNeighborsClassifier RadiusNeighborsRegressor NearestCentroid BernoulliNB CategoricalNB ComplementNB
    GaussianNB MultinomialNB LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis MLPClassifier MLPRegressor
    IsotonicRegression PLSRegression PLSCanonical CCA KMeans MiniBatchKMeans BisectingKMeans Birch MeanShift
    AffinityPropagation GaussianMixture BayesianGaussianMixture EllipticEnvelope DummyRegressor Binarizer
    FunctionTransformer KBinsDiscretizer LabelBinarizer MaxAbsScaler MinMaxScaler MultiLabelBinarizer Normalizer
    OneHotEncoder OrdinalEncoder PolynomialFeatures PowerTransformer QuantileTransformer RobustScaler
    SplineTransformer StandardScaler TargetEncoder KernelCenterer SimpleImputer KNNImputer MissingIndicator PCA
    IncrementalPCA KernelPCA TruncatedSVD FastICA FactorAnalysis Nystroem RBFSampler SkewedChi2Sampler
    AdditiveChi2Sampler PolynomialCountSketch GaussianRandomProjection SparseRandomProjection CountVectorizer
    DictVectorizer FeatureHasher HashingVectorizer TfidfTransformer TfidfVectorizer GenericUnivariateSelect SelectFdr
    SelectFpr SelectFwe SelectKBest SelectPercentile VarianceThreshold
    """.split()  # noqa: SIM905 - a list of words is easier to read and to keep than one of literals
)

# Estimators that are as independent as what they are made of.
_MADE_OF_OTHERS = frozenset(
    """
    Pipeline FeatureUnion ColumnTransformer TransformedTargetRegressor AdaBoostClassifier AdaBoostRegressor
    BaggingClassifier BaggingRegressor CalibratedClassifierCV ClassifierChain FixedThresholdClassifier FrozenEstimator
    GridSearchCV HalvingGridSearchCV HalvingRandomSearchCV MultiOutputClassifier MultiOutputRegressor
    OneVsOneClassifier OneVsRestClassifier OutputCodeClassifier RANSACRegressor RFE RFECV RandomizedSearchCV
    RegressorChain SelectFromModel SelfTrainingClassifier SequentialFeatureSelector StackingClassifier
    StackingRegressor TunedThresholdClassifierCV VotingClassifier VotingRegressor
    """.split()  # noqa: SIM905 - a list of words is easier to read and to keep than one of literals
)

_ROW_METHODS = frozenset({"predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba"})


def rows_of(estimator: Any, method: str) -> RowIndependence:
    """Say whether an estimator answers row by row when `method` is called, and why, for people."""
    if method not in _ROW_METHODS:
        return RowIndependence(False, f"{method} looks at all rows together")
    doubt = _doubt(estimator)
    name = type(estimator).__name__
    return RowIndependence(True, f"{name} answers row by row") if doubt is None else RowIndependence(False, doubt)


def is_known_row_by_row(estimator: Any) -> bool:
    """Whether this is one of scikit-learn's own estimators that look at one row at a time, not made of others."""
    return type(estimator).__name__ in _ROW_BY_ROW and _doubt(estimator) is None


def replaced_methods(estimator: Any) -> list[str]:
    """Names of what the estimator itself holds in place of its class's methods: not scikit-learn's code any more."""
    kind = type(estimator)
    return sorted(name for name in vars(estimator) if callable(getattr(kind, name, None)))


def _doubt(estimator: Any) -> str | None:
    """Why an estimator is not known to answer row by row; None when it is."""
    kind = type(estimator)
    if kind.__module__.partition(".")[0] != "sklearn":
        return f"{kind.__module__}.{kind.__name__} is not one of scikit-learn's own estimators"
    if replaced := replaced_methods(estimator):
        return f"{kind.__name__} has methods of the user's in place of its own: {', '.join(replaced)}"
    if kind.__name__ not in _ROW_BY_ROW | _MADE_OF_OTHERS:
        return f"{kind.__name__} is not on the list of estimators known to answer row by row"
    for name, value in estimator.get_params(deep=False).items():
        if _is_foreign_function(value):
            return (
                f"{kind.__name__} calls {name}={getattr(value, '__name__', type(value).__name__)}, a function of the user's"
            )
        if kind.__name__ in _MADE_OF_OTHERS:
            for part in _parts(value):
                doubt = _doubt(part)
                if doubt is not None:
                    return doubt
    return None


def _parts(value: Any) -> Iterator[Any]:
    """The estimators inside a parameter: itself, or in a list of steps."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _parts(each)


def _is_foreign_function(value: Any) -> bool:
    if isinstance(value, type) or not callable(value) or hasattr(value, "get_params"):
        return False
    module = getattr(value, "__module__", None) or type(value).__module__
    return module.partition(".")[0] not in {"sklearn", "numpy", "scipy"}
