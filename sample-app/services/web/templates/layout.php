<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title><?= $e($title) ?> · Academy</title>
<link rel="stylesheet" href="/static/style.css">
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
</head>
<body>
<header>
<a class="name" href="/">Academy</a>
<nav><a href="/">Courses</a> <a href="/grades">Grades</a> <a href="/status">Status</a></nav>
</header>
<main>
<?= $content ?>
</main>
<footer>academy <?= $e(\Academy\Settings::VERSION) ?>, answered by <?= $e(gethostname()) ?></footer>
</body>
</html>
