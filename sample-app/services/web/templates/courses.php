<h1>Courses</h1>
<form class="enrol" method="post" action="/enrol">
<?php if ($complaint !== '') { ?>
<p class="complaint" role="alert"><?= $e($complaint) ?></p>
<?php } ?>
<label>Your name <input name="student" value="<?= $e($student) ?>" autocomplete="name" required></label>
<label>Course
<select name="course" required>
<option value="">choose …</option>
<?php foreach ($courses as $course) { ?>
<option value="<?= $e($course['id']) ?>"<?= $course['id'] === $chosen ? ' selected' : '' ?>><?= $e($course['title']) ?></option>
<?php } ?>
</select></label>
<button>Enrol</button>
</form>
<ul class="courses">
<?php foreach ($courses as $course) { ?>
<li data-course="<?= $e($course['id']) ?>">
<strong><?= $e($course['title']) ?></strong>
<?php foreach ($course['topics'] as $topic) { ?><span class="topic"><?= $e($topic) ?></span> <?php } ?>

</li>
<?php } ?>
</ul>
